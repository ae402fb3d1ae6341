"""Light blocks: a header that validators have agreed on, their votes for it, and who they were.

This is the frozen JSON form, canonical and in base64url as everything on the ledger. What follows from
something else is not in it: a header's hash, the validators' addresses, the block that the votes name.
So nothing in it can contradict itself, and a changed byte changes what was signed, or by whom.

Hashes and signed bytes are CometBFT 0.38's: spec/core/{data_structures,encoding}.md.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from iamata.crypto.merkle import EMPTY_ROOT, compute_root, hash_leaf
from iamata.ledger.entries import Validator
from iamata.ledger.light.encoding import (
    write_bytes,
    write_delimited,
    write_fixed,
    write_message,
    write_number,
)
from iamata.ledger.misbehaviour import compute_address
from iamata.ledger.validators import POWER_MAX, VALIDATORS_MAX
from iamata.model.canonical import INTEGER_MAX, encode_struct
from iamata.model.ids import Digest, KeyId, decode_digest, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require

LIGHT_BLOCK_BYTES_MAX: Final = 65_536
"""A header and a hundred validators with their votes take half of it."""
CHAIN_ID_CHARS_MAX: Final = 50
ROUND_MAX: Final = 2**31 - 1
PARTS_MAX: Final = 2**32 - 1
SECONDS_MAX: Final = 253_402_300_799
"""The last second of the year 9999, the last one that CometBFT can spell."""
NANOS_MAX: Final = 999_999_999

PRECOMMIT: Final = 2
"""Of the kinds of votes, the only one that a commit consists of."""

_SIGNATURE_PATTERN: Final = r"^[A-Za-z0-9_-]{85}[AQgw]\Z"
"""Base64url of 64 bytes without padding: one spelling for each value."""
_ADDRESS_PATTERN: Final = r"^[A-Za-z0-9_-]{26}[AEIMQUYcgkosw048]\Z"
_SHORT_PATTERN: Final = r"^[A-Za-z0-9_-]{0,43}\Z"

Number = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
Height = Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]
Round = Annotated[int, msgspec.Meta(ge=0, le=ROUND_MAX)]
PartCount = Annotated[int, msgspec.Meta(ge=1, le=PARTS_MAX)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=SECONDS_MAX)]
Nanos = Annotated[int, msgspec.Meta(ge=0, le=NANOS_MAX)]
Power = Annotated[int, msgspec.Meta(ge=1, le=POWER_MAX)]
ChainId = Annotated[str, msgspec.Meta(min_length=1, max_length=CHAIN_ID_CHARS_MAX)]
Address = Annotated[str, msgspec.Meta(pattern=_ADDRESS_PATTERN)]
Signature = Annotated[str, msgspec.Meta(pattern=_SIGNATURE_PATTERN)]
AppHash = Annotated[str, msgspec.Meta(pattern=_SHORT_PATTERN)]
"""Ours has 32 bytes; CometBFT lets an application choose how many."""


class Timestamp(msgspec.Struct, frozen=True, array_like=True, order=True, forbid_unknown_fields=True):
    """An instant to the nanosecond, since 1970 in UTC."""

    seconds: Seconds
    nanos: Nanos

    @property
    def ms(self) -> Instant:
        """Tell the millisecond, as the ledger knows time."""
        return Instant(self.seconds * 1_000 + self.nanos // 1_000_000)


class Parts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Into how many parts a block was cut to be sent around, and the root over them."""

    total: PartCount
    hash: Digest


class BlockId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which block: the hash of its header, and its parts."""

    hash: Digest
    parts: Parts


class LightHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a block of CometBFT says of itself; its app hash is what the block *before* came to."""

    block_version: Number
    app_version: Number
    chain_id: ChainId
    height: Height
    time: Timestamp
    last_block: BlockId | None
    """None in the first block."""
    last_commit_hash: Digest
    data_hash: Digest
    validators_hash: Digest
    next_validators_hash: Digest
    consensus_hash: Digest
    app_hash: AppHash
    last_results_hash: Digest
    evidence_hash: Digest
    proposer: Address


class Vote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A validator's precommit: for this block or, where the round brought it none, for no block."""

    is_for_block: bool
    time: Timestamp
    signature: Signature


class LightValidator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consensus key and the weight of its vote."""

    key: KeyId
    power: Power


class LightBlock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A header, and the votes by which validators made it final; None where one did not vote in time."""

    header: LightHeader
    round: Round
    parts: Parts
    votes: Annotated[tuple[Vote | None, ...], msgspec.Meta(max_length=VALIDATORS_MAX)]
    validators: Annotated[tuple[LightValidator, ...], msgspec.Meta(min_length=1, max_length=VALIDATORS_MAX)]
    """In CometBFT's order; the votes are in the same."""


NO_ITEMS_HASH: Final = Digest(encode_digest(EMPTY_ROOT))
"""The hash by which a header says that there are no transactions, or no evidence."""


def read_light_block(raw: bytes) -> LightBlock:
    """Read a light block in its one spelling, or refuse it; whether its votes hold is another question."""
    require(len(raw) <= LIGHT_BLOCK_BYTES_MAX, Reason.TOO_LARGE, "a light block")
    try:
        light = _LIGHT_BLOCKS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "a light block") from error
    require(encode_struct(light) == raw, Reason.NOT_CANONICAL, "a light block")
    check_form(light)
    return light


def check_form(light: LightBlock) -> None:
    """Refuse what the types alone let pass."""
    header = light.header
    try:
        app_hash = decode_digest(header.app_hash)
    except ValueError as error:
        raise Refused(Reason.MALFORMED, "the app hash of a light block") from error
    is_spelled_once = encode_digest(app_hash) == header.app_hash
    require(is_spelled_once, Reason.NOT_CANONICAL, "the app hash of a light block")
    is_in_place = header.height > 1 or header.last_block is None
    require(is_in_place, Reason.MALFORMED, "the first block follows none")
    require(len(light.votes) == len(light.validators), Reason.MALFORMED, "one vote for each validator")


def order_validators(validators: Iterable[Validator]) -> tuple[LightValidator, ...]:
    """Put the ledger's validators into CometBFT's order: the heaviest first, then by address."""
    ordered = sorted(validators, key=lambda one: (-one.power, compute_address(one.key)))
    return tuple(LightValidator(key=one.key, power=one.power) for one in ordered)


def compute_validators_hash(validators: Sequence[LightValidator]) -> Digest:
    """Compute the hash by which a header names who orders."""
    return _compute_merkle_hash(
        write_message(1, write_bytes(1, decode_digest(one.key))) + write_number(2, one.power)
        for one in validators
    )


def compute_data_hash(bundles: Iterable[bytes]) -> Digest:
    """Compute the hash by which a header names its consensus transactions."""
    return _compute_merkle_hash(hashlib.sha256(bundle).digest() for bundle in bundles)


def compute_light_hash(header: LightHeader) -> Digest:
    """Compute a header's hash: the root over its fourteen fields, each wrapped as a message."""
    hashes = (
        header.last_commit_hash,
        header.data_hash,
        header.validators_hash,
        header.next_validators_hash,
        header.consensus_hash,
        header.app_hash,
        header.last_results_hash,
        header.evidence_hash,
        header.proposer,
    )
    return _compute_merkle_hash(
        [
            write_number(1, header.block_version) + write_number(2, header.app_version),
            write_bytes(1, header.chain_id.encode("utf-8")),
            write_number(1, header.height),
            _write_time(header.time),
            _write_block_id(header.last_block),
            *(write_bytes(1, decode_digest(one)) for one in hashes),
        ]
    )


def compute_sign_bytes(light: LightBlock, vote: Vote) -> bytes:
    """Write what a validator has signed: its precommit, at the time that it told, behind its length."""
    header = light.header
    block = BlockId(hash=compute_light_hash(header), parts=light.parts)
    return write_delimited(
        write_number(1, PRECOMMIT)
        + write_fixed(2, header.height)
        + write_fixed(3, light.round)
        + (write_message(4, _write_block_id(block)) if vote.is_for_block else b"")
        + write_message(5, _write_time(vote.time))
        + write_bytes(6, header.chain_id.encode("utf-8"))
    )


def decode_signature(signature: Signature) -> bytes:
    """Return the 64 bytes of a signature."""
    return decode_digest(signature)


def encode_address(key: KeyId) -> Address:
    """Spell the address by which CometBFT names a key."""
    return encode_digest(compute_address(key))


def _write_time(time: Timestamp) -> bytes:
    return write_number(1, time.seconds) + write_number(2, time.nanos)


def _write_block_id(block: BlockId | None) -> bytes:
    if block is None:
        return write_message(2, b"")
    parts = write_number(1, block.parts.total) + write_bytes(2, decode_digest(block.parts.hash))
    return write_bytes(1, decode_digest(block.hash)) + write_message(2, parts)


def _compute_merkle_hash(items: Iterable[bytes]) -> Digest:
    return Digest(encode_digest(compute_root([hash_leaf(item) for item in items])))


_LIGHT_BLOCKS: Final = msgspec.json.Decoder(LightBlock)
