"""What a member offers where a network is to go on and each home stays with its member.

An offer is signed by the member's node and says where its ledger stands, with which key the member would
order from then on, and how its node is reached. The secrets stay in the home, in `continuing.json`.
"""

import contextlib
import os
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec

from iamata.client.connection import read_url
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.crypto.jws import verify_jws
from iamata.engines.comet.files import spell_peer
from iamata.ledger.envelope import read_statement
from iamata.ledger.genesis import Predecessor
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import MEMBERS
from iamata.ledger.transaction import Statement
from iamata.model.canonical import encode_struct
from iamata.model.ids import DigestText, KeyId, MemberId, decode_digest, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node.comet_home import CometSeeds, draw_ports
from iamata.node.configuration import Address, Configuration
from iamata.node.keyfiles import KEY_MODE, write_new
from iamata.node.validators import Neighbour, Seat
from iamata.stores.private_files import read_private

CONTINUING_FILE: Final = "continuing.json"
CONTINUING_BYTES_MAX: Final = 4_096
_NEXT: Final = "continuing.next.json"
OFFER_BYTES_MAX: Final = 4_096
LOOPBACK: Final = "127.0.0.1"

Url = Annotated[str, msgspec.Meta(max_length=1_024)]
Peer = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}@[A-Za-z0-9.\-\[\]:]{1,255}:[0-9]{1,5}\Z")]


class Offer(Statement):
    """A member would go on from where its ledger stands, and order with this key."""

    typ: ClassVar[str] = "iamata-offer+jwt"

    member: MemberId
    stands: Predecessor
    at_ms: Instant
    key: KeyId
    """Orders blocks: as a validator, or alone."""
    url: Url
    peer: Peer
    """How the CometBFT beside the node is reached, where validators are to order."""

    @property
    def neighbour(self) -> Neighbour:
        """Say how the node is reached."""
        return Neighbour(self.member, self.url, self.peer)


class Continuing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secrets behind an offer, and where CometBFT would listen."""

    order: DigestText
    node: DigestText
    p2p: Address
    rpc: Address

    def __repr__(self) -> str:
        return "Continuing()"

    @property
    def seeds(self) -> CometSeeds:
        """Return the keys of the home's CometBFT."""
        return CometSeeds(validator=decode_digest(self.order), node=decode_digest(self.node))


def draw_continuing(home: Path, *, p2p: str | None, rpc: str | None) -> Continuing:
    """Draw the secrets of an offer and keep them; those drawn before stay, addresses may change."""
    before: Continuing | None = None
    with contextlib.suppress(FileNotFoundError):
        before = read_continuing(home)
    old = before or _draw()
    fresh: Continuing = msgspec.structs.replace(old, p2p=p2p or old.p2p, rpc=rpc or old.rpc)
    if fresh == before:
        return fresh
    raw = encode_struct(fresh)
    try:
        msgspec.json.decode(raw, type=Continuing)
    except msgspec.ValidationError as error:
        raise Refused(Reason.INPUT_INVALID, "an address is host:port") from error
    (home / _NEXT).unlink(missing_ok=True)
    write_new(home / _NEXT, raw, mode=KEY_MODE)
    (home / _NEXT).replace(home / CONTINUING_FILE)
    return fresh


def _draw() -> Continuing:
    p2p, rpc = draw_ports(2)
    return Continuing(
        order=encode_digest(os.urandom(SEED_BYTES)),
        node=encode_digest(os.urandom(SEED_BYTES)),
        p2p=f"{LOOPBACK}:{p2p}",
        rpc=f"{LOOPBACK}:{rpc}",
    )


def read_continuing(home: Path) -> Continuing:
    """Read the secrets of a home's offer; raise FileNotFoundError where it made none."""
    raw = read_private(home / CONTINUING_FILE, bytes_max=CONTINUING_BYTES_MAX)
    try:
        return msgspec.json.decode(raw, type=Continuing)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Reason.HOME_CORRUPT, f"{CONTINUING_FILE} is damaged") from error


def make_offer(
    continuing: Continuing, *, member: MemberId, stands: Predecessor, at_ms: int, url: str
) -> Offer:
    """Make the offer of a member, for its node to sign."""
    read_url(url)
    node = SigningKey.from_seed(decode_digest(continuing.node)).key_id
    return Offer(
        network=stands.network,
        member=member,
        stands=stands,
        at_ms=Instant(at_ms),
        key=SigningKey.from_seed(decode_digest(continuing.order)).key_id,
        url=url,
        peer=spell_peer(node, continuing.p2p),
    )


def read_offer(text: str, state: LedgerState) -> Offer:
    """Read an offer that a member of this ledger has signed, or refuse it."""
    require(len(text) <= OFFER_BYTES_MAX, Reason.TOO_LARGE, "an offer")
    signed = read_statement(text, Offer)
    require(verify_jws(signed.jws), Reason.BAD_SIGNATURE, "an offer")
    offer: Offer = signed.payload
    require(offer.network == state.network, Reason.FOREIGN_NETWORK, "an offer")
    member = MEMBERS.find(state.entries, offer.member)
    is_theirs = member is not None and member.signing_key == signed.key
    require(is_theirs, Reason.UNKNOWN_SIGNER, f"the offer of {offer.member}")
    return offer


def take_seat(continuing: Continuing, offer: Offer, configuration: Configuration) -> Seat:
    """Say where a home's own node and its CometBFT are."""
    return Seat(
        member=offer.member,
        url=offer.url,
        host=configuration.host,
        port=configuration.port,
        p2p=continuing.p2p,
        rpc=continuing.rpc,
        seeds=continuing.seeds,
    )
