"""Block headers: what a ledger's signer vouches for, chained by digest."""

import functools
import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.jws import decode_jws, sign_jws, verify_jws
from iamata.crypto.merkle import compute_root, hash_leaf
from iamata.ledger.genesis import Genesis
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, KeyId, NetworkId, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require

HEADER_TYP: Final = "iamata-header+jwt"
HEADERS_REMEMBERED: Final = 16
"""Whoever follows a ledger holds its newest headers against each other, each several times."""
_APP_PREFIX: Final = b"iamata/1/app\x00"


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One block's place, time, contents and result."""

    network: NetworkId
    height: int
    time_ms: Instant
    parent: Digest
    """Digest of the previous header; of the genesis at height 1."""
    transactions: Digest
    """Root of the RFC 9162 tree over the transactions' bytes."""
    app_hash: Digest


def compute_app_hash(*, state_root: bytes, log_root: bytes, log_size: int) -> Digest:
    """Bind state and log in one value that an empty block leaves as it is."""
    preimage = _APP_PREFIX + state_root + log_root + log_size.to_bytes(8, "big")
    return Digest(encode_digest(hashlib.sha256(preimage).digest()))


def compute_transactions_root(transactions: Iterable[bytes]) -> Digest:
    """Compute the root over a block's transactions."""
    return Digest(encode_digest(compute_root([hash_leaf(raw) for raw in transactions])))


def compute_header_digest(header: Header) -> Digest:
    """Name a header by its content, for the next one to chain to."""
    return Digest(encode_digest(hashlib.sha256(encode_struct(header)).digest()))


def sign_header(header: Header, key: SigningKey) -> bytes:
    """Spell a header as a JWS of the one that orders."""
    return sign_jws(key, typ=HEADER_TYP, payload=encode_struct(header))


@functools.lru_cache(maxsize=HEADERS_REMEMBERED)
def read_header(raw: bytes, *, orderer: KeyId) -> Header:
    """Read a header that this orderer has signed, or refuse it."""
    jws = decode_jws(raw, typ=HEADER_TYP)
    header = _decode_header(jws.payload)
    require(jws.key == orderer and verify_jws(jws), Reason.BAD_SIGNATURE, "a block header")
    return header


def read_block_header(raw: bytes, genesis: Genesis) -> Header:
    """Read the header of a kept block: signed by the one who orders, or, where validators do, by nobody.

    What validators have agreed on is proved by their votes, which lie apart from the block.
    """
    if genesis.orderer is not msgspec.UNSET:
        return read_header(raw, orderer=genesis.orderer)
    return _decode_header(raw)


def _decode_header(payload: bytes) -> Header:
    try:
        header = msgspec.json.decode(payload, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "a block header") from error
    require(encode_struct(header) == payload, Reason.NOT_CANONICAL, "a block header")
    return header
