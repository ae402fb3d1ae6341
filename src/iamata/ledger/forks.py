"""Evidence that one signer has signed two histories: two headers that cannot both be true.

Anybody who has the genesis can check it; nobody but the signer could have made it.
"""

import msgspec

from iamata.ledger.genesis import Genesis, compute_network_id, get_orderer
from iamata.ledger.header import Header, compute_header_digest, read_header
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused, require

FORK_BYTES_MAX = 16_384


class Fork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two signed headers: of one height, or the second claiming to follow another first."""

    kept: str
    shown: str


def is_fork(kept: Header, shown: Header) -> bool:
    """Tell whether two headers of one ledger contradict each other."""
    if shown.height == kept.height:
        return shown != kept
    return shown.height == kept.height + 1 and shown.parent != compute_header_digest(kept)


def check_fork(fork: Fork, genesis: Genesis) -> int:
    """Return the height at which the histories part, or refuse what proves nothing."""
    orderer, network = get_orderer(genesis), compute_network_id(genesis)
    kept, shown = (read_header(text.encode("ascii"), orderer=orderer) for text in (fork.kept, fork.shown))
    is_ours = kept.network == shown.network == network
    require(is_ours, Reason.FOREIGN_NETWORK, "evidence of another network")
    require(is_fork(kept, shown), Reason.FAULT_FOUND, "these headers do not contradict each other")
    return kept.height


def read_fork(raw: bytes) -> Fork:
    """Read evidence as `encode_struct` writes it, or refuse it."""
    require(len(raw) <= FORK_BYTES_MAX, Reason.TOO_LARGE, "the evidence of a fork")
    try:
        fork = msgspec.json.decode(raw, type=Fork)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "the evidence of a fork") from error
    is_canonical = encode_struct(fork) == raw and fork.kept.isascii() and fork.shown.isascii()
    require(is_canonical, Reason.NOT_CANONICAL, "the evidence of a fork")
    return fork
