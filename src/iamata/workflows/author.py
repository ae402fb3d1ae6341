"""Whoever signs: a member's node, a person, a patient. One way to write a transaction and await its end."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final

from iamata.crypto.ed25519 import SigningKey
from iamata.ledger.entries import OwnerKind
from iamata.ledger.envelope import sign_statement, sign_transaction
from iamata.ledger.keyring import describe_subject
from iamata.ledger.rules import get_rules
from iamata.ledger.transaction import Possession, Signed, Statement, Transaction
from iamata.model.ids import RANDOM_ID_BYTES, MemberId, Nonce, compute_random_id
from iamata.model.instants import MS_PER_MINUTE, Instant
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.ports import Engine, Finality

VALID_MS: Final = 5 * MS_PER_MINUTE
"""How long a transaction may wait for its block: half of what the rules allow, so clocks may differ."""
FINALITY_TIMEOUT_S: Final = 60
NO_FINALITY: Final = (
    Reason.STORAGE_FULL,
    Reason.TOO_BUSY,
    Reason.ENGINE_STOPPED,
    Reason.RULES_UNKNOWN,
    Reason.LEDGER_FORKED,
    Reason.FAULT_FOUND,
    Reason.NODE_UNREACHABLE,
    Reason.NODE_FAULT,
    Reason.TOO_SLOW,
    Reason.TOO_MANY_REQUESTS,
)
"""What a submission ends with where the ledger says neither yes nor no; it may yet become final."""


@dataclasses.dataclass(frozen=True, slots=True)
class Author:
    """A key with what it takes to use it: the network, the time and chance."""

    engine: Engine
    key: SigningKey
    clock: Callable[[], int]
    entropy: Callable[[int], bytes]

    def make_id(self) -> str:
        """Draw a new random id."""
        return compute_random_id(self.entropy(RANDOM_ID_BYTES))

    def write(self, kind: type[Transaction], /, **fields: Any) -> bytes:  # noqa: ANN401  the transaction's own fields
        """Sign a transaction for this network that expires in a few minutes."""
        body = kind(
            network=self.engine.network,
            nonce=Nonce(self.make_id()),
            expires_ms=Instant(self.clock() + VALID_MS),
            **fields,
        )
        return sign_transaction(body, self.key)

    def submit(self, kind: type[Transaction], /, **fields: Any) -> Finality:  # noqa: ANN401  as above
        """Sign, submit and await a transaction; raise its refusal where the ledger says no."""
        return await_finality(self.engine, self.write(kind, **fields))

    def state(self, kind: type[Statement], /, **fields: Any) -> Signed[Any]:  # noqa: ANN401  the statement's own fields
        """Sign a statement that somebody else's transaction will carry."""
        return sign_statement(kind(network=self.engine.network, **fields), self.key)

    def prove_possession(self, kind: OwnerKind, owner: str, *, member: MemberId) -> Signed[Possession]:
        """Prove that this key's holder wants it to speak for somebody, at this member and no other."""
        view = self.engine.snapshot()
        rules = get_rules(view, height=view.height + 1, first=self.engine.genesis.rules)
        return self.state(Possession, subject=describe_subject(kind, owner, member=member, rules=rules))


def await_finality(engine: Engine, raw: bytes) -> Finality:
    """Submit a signed transaction and await its end; raise its refusal where the ledger says no."""
    return settle(engine.submit(raw))


def settle(future: "Future[Finality]", *, timeout_s: float = FINALITY_TIMEOUT_S) -> Finality:
    """Await a transaction's end; raise its refusal where the ledger says no."""
    try:
        finality = future.result(timeout=timeout_s)
    except FutureTimeoutError as error:
        raise Refused(Reason.TOO_BUSY, f"no answer within {timeout_s} s") from error
    if finality.reason != ACCEPTED:
        raise Refused(Reason(finality.reason))
    return finality
