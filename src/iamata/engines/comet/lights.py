"""Turn what CometBFT's RPC says of a height into a light block: its answers `/commit` and `/validators`.

Nothing here is believed: whoever reads a light block checks its votes. A vote that does not hold is left
out, as CometBFT counts a few odd signatures (ZIP 215) that the ledger's own library refuses.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from iamata.crypto.ed25519 import is_valid
from iamata.ledger.light.blocks import (
    BlockId,
    LightBlock,
    LightHeader,
    LightValidator,
    Parts,
    Timestamp,
    Vote,
    compute_light_hash,
    compute_sign_bytes,
    decode_signature,
    encode_address,
    read_light_block,
)
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, KeyId, encode_digest
from iamata.model.reasons import Reason, Refused, require

ED25519: Final = "tendermint/PubKeyEd25519"
ABSENT, FOR_BLOCK, FOR_NONE = 1, 2, 3
"""How CometBFT numbers what became of a validator's vote."""

_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


class _Parts(msgspec.Struct):
    total: int
    hash: str


class _BlockId(msgspec.Struct):
    hash: str
    parts: _Parts


class _Version(msgspec.Struct):
    block: str
    app: str = "0"


class _Header(msgspec.Struct):
    version: _Version
    chain_id: str
    height: str
    time: str
    last_block_id: _BlockId
    last_commit_hash: str
    data_hash: str
    validators_hash: str
    next_validators_hash: str
    consensus_hash: str
    app_hash: str
    last_results_hash: str
    evidence_hash: str
    proposer_address: str


class _Signature(msgspec.Struct):
    block_id_flag: int
    validator_address: str
    timestamp: str
    signature: str | None


class _Commit(msgspec.Struct):
    height: str
    round: int
    block_id: _BlockId
    signatures: list[_Signature]


class _SignedHeader(msgspec.Struct):
    header: _Header
    commit: _Commit


class CommitAnswer(msgspec.Struct):
    """What `/commit` answers."""

    signed_header: _SignedHeader


class _PublicKey(msgspec.Struct):
    type: str
    value: str


class ValidatorAnswer(msgspec.Struct):
    """One of those that `/validators` lists, in CometBFT's order."""

    pub_key: _PublicKey
    voting_power: str


def make_light_block(commit: CommitAnswer, validators: Sequence[ValidatorAnswer]) -> LightBlock:
    """Make a light block out of two answers about one height, or refuse what they cannot mean."""
    signed = commit.signed_header
    try:
        light = LightBlock(
            header=_read_header(signed.header),
            round=signed.commit.round,
            parts=_read_parts(signed.commit.block_id.parts),
            votes=(),
            validators=tuple(_read_validator(one) for one in validators),
        )
        is_of_header = _read_hash(signed.commit.block_id.hash) == compute_light_hash(light.header)
        require(is_of_header, Reason.FAULT_FOUND, "CometBFT's commit is for another header")
        votes = _read_votes(signed.commit.signatures, light)
    except (ValueError, binascii.Error) as error:
        raise Refused(Reason.MALFORMED, "CometBFT's answer") from error
    return read_light_block(encode_struct(msgspec.structs.replace(light, votes=votes)))


def _read_header(header: _Header) -> LightHeader:
    height = int(header.height)
    return LightHeader(
        block_version=int(header.version.block),
        app_version=int(header.version.app),
        chain_id=header.chain_id,
        height=height,
        time=_read_time(header.time),
        last_block=_read_block_id(header.last_block_id) if header.last_block_id.hash else None,
        last_commit_hash=_read_hash(header.last_commit_hash),
        data_hash=_read_hash(header.data_hash),
        validators_hash=_read_hash(header.validators_hash),
        next_validators_hash=_read_hash(header.next_validators_hash),
        consensus_hash=_read_hash(header.consensus_hash),
        app_hash=_read_hash(header.app_hash),
        last_results_hash=_read_hash(header.last_results_hash),
        evidence_hash=_read_hash(header.evidence_hash),
        proposer=_read_hash(header.proposer_address),
    )


def _read_votes(signatures: Sequence[_Signature], light: LightBlock) -> tuple[Vote | None, ...]:
    require(len(signatures) == len(light.validators), Reason.MALFORMED, "one vote for each validator")
    return tuple(
        _find_vote(signature, one, light)
        for signature, one in zip(signatures, light.validators, strict=True)
    )


def _find_vote(signature: _Signature, validator: LightValidator, light: LightBlock) -> Vote | None:
    if signature.block_id_flag == ABSENT or not signature.signature:
        return None
    require(signature.block_id_flag in (FOR_BLOCK, FOR_NONE), Reason.MALFORMED, "a vote of CometBFT's")
    is_theirs = _read_hash(signature.validator_address) == encode_address(validator.key)
    require(is_theirs, Reason.FAULT_FOUND, "CometBFT's commit is by other validators")
    vote = Vote(
        is_for_block=signature.block_id_flag == FOR_BLOCK,
        time=_read_time(signature.timestamp),
        signature=encode_digest(base64.b64decode(signature.signature, validate=True)),
    )
    holds = is_valid(validator.key, compute_sign_bytes(light, vote), decode_signature(vote.signature))
    return vote if holds else None


def _read_validator(validator: ValidatorAnswer) -> LightValidator:
    require(validator.pub_key.type == ED25519, Reason.MALFORMED, "a consensus key that is not Ed25519")
    key = base64.b64decode(validator.pub_key.value, validate=True)
    return LightValidator(key=KeyId(encode_digest(key)), power=int(validator.voting_power))


def _read_block_id(block: _BlockId) -> BlockId:
    return BlockId(hash=_read_hash(block.hash), parts=_read_parts(block.parts))


def _read_parts(parts: _Parts) -> Parts:
    return Parts(total=parts.total, hash=_read_hash(parts.hash))


def _read_hash(text: str) -> Digest:
    return Digest(encode_digest(bytes.fromhex(text)))


def _read_time(text: str) -> Timestamp:
    """Read RFC 3339 in UTC, to the nanosecond."""
    match = _TIME.fullmatch(text)
    if match is None:
        message = "not a time in UTC"
        raise ValueError(message)
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return Timestamp(int(moment.timestamp()), int((match[2] or "0").ljust(9, "0")))
