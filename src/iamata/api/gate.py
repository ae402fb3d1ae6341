"""Through here goes every request: not too often, for this node, signed by whom it says, and only once."""

import ipaddress
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from iamata.api import limits
from iamata.api.callers import Access, Caller, check_access, identify
from iamata.api.nonces import Nonces
from iamata.api.rates import Rates
from iamata.model.ids import MemberId, PersonId
from iamata.model.instants import MS_PER_DAY, MS_PER_SECOND
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Engine
from iamata.wire.signatures import Message, check_request

FORWARDED: Final = ("forwarded", "x-forwarded-for")
"""What a reverse proxy adds (RFC 7239, and what was usual before): the request came from elsewhere."""


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """A request before anybody knows whose it is."""

    message: Message
    body: bytes
    address: str

    @property
    def is_signed(self) -> bool:
        """Tell whether it claims to be signed."""
        return "signature" in self.message.fields or "signature-input" in self.message.fields

    @property
    def is_local(self) -> bool:
        """Tell whether it came from this machine, and was not passed on by a proxy that runs here."""
        is_passed_on = any(name in self.message.fields for name in FORWARDED)
        return is_loopback(self.address) and not is_passed_on


class Gate:
    """What is remembered between requests: rates and nonces."""

    def __init__(
        self,
        engine: Engine,
        member: MemberId,
        *,
        names: Collection[str],
        clock: Callable[[], int],
    ) -> None:
        def clock_s() -> float:
            return clock() / MS_PER_SECOND

        self._engine = engine
        self._member = member
        self._names = names
        self._clock_s = clock_s
        self._nonces = Nonces()
        self._addresses = Rates(per_s=limits.ADDRESS_PER_S, burst=limits.ADDRESS_BURST, clock_s=clock_s)
        self._strangers = Rates(per_s=limits.STRANGER_PER_S, burst=limits.STRANGER_BURST, clock_s=clock_s)
        self._keys = Rates(per_s=limits.KEY_PER_S, burst=limits.KEY_BURST, clock_s=clock_s)
        self._submissions = Rates(
            per_s=limits.KEY_TRANSACTIONS_PER_S, burst=limits.KEY_TRANSACTIONS_BURST, clock_s=clock_s
        )
        drafts_per_s = limits.DRAFTS_PER_DAY * MS_PER_SECOND / MS_PER_DAY
        self._drafts = Rates(per_s=drafts_per_s, burst=limits.DRAFTS_PER_DAY, clock_s=clock_s)

    def slow_down(self, address: str) -> None:
        """Refuse an address that asks too often, before anything is read or checked."""
        self._addresses.take(address)

    def admit(self, knock: Knock, access: Access) -> Caller | None:
        """Return who asks, None where nobody says so, or refuse whom the route does not serve."""
        try:
            caller = self._identify(knock) if knock.is_signed else None
        except Refused:
            self._slow_stranger(knock, 1)  # whoever signs with rubbish is one too
            raise
        if caller is None:
            self._slow_stranger(knock, 1)
        check_access(access, caller, member=self._member, is_local=knock.is_local)
        return caller

    def charge(self, knock: Knock, caller: Caller | None, *, transactions: int) -> None:
        """Refuse who hands in too many transactions; of a stranger the first is paid by the request."""
        if caller is None:
            self._slow_stranger(knock, transactions - 1)
        else:
            self._submissions.take(caller.key, transactions)

    def charge_draft(self, person: PersonId) -> None:
        """Refuse a researcher who has had enough kept for a day."""
        self._drafts.take(person)

    def _slow_stranger(self, knock: Knock, count: int) -> None:
        if not knock.is_local:
            self._strangers.take(knock.address, count)

    def _identify(self, knock: Knock) -> Caller:
        # A request that was signed for another node is none for this one, whoever passes it on.
        require(knock.message.authority.lower() in self._names, Reason.WRONG_NODE)
        now_s = int(self._clock_s())
        proof = check_request(knock.message, knock.body, now_s=now_s)
        caller = identify(self._engine.snapshot(), proof.key)
        self._keys.take(proof.key)
        self._nonces.use(proof, now_s=now_s)
        return caller


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
