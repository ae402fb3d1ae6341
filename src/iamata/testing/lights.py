"""Light blocks as validators would sign them, with keys from a seed and without any consensus."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.bundles import list_bundles
from iamata.ledger.light.blocks import (
    NO_ITEMS_HASH,
    BlockId,
    LightBlock,
    LightHeader,
    LightValidator,
    Parts,
    Timestamp,
    Vote,
    compute_data_hash,
    compute_light_hash,
    compute_sign_bytes,
    compute_validators_hash,
    encode_address,
)
from iamata.ledger.light.verifying import Trust
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, KeyId, encode_digest

PARTS: Final = Parts(total=1, hash=Digest(encode_digest(bytes(range(32)))))
SOME_HASH: Final = Digest(encode_digest(bytes(32)))


def make_light(  # noqa: PLR0913  what a header says
    trust: Trust,
    validators: Sequence[LightValidator],
    keys: Sequence[SigningKey | None],
    *,
    height: int | None = None,
    app_hash: str = SOME_HASH,
    next_validators: Sequence[LightValidator] | None = None,
    nil: Sequence[int] = (),
) -> LightBlock:
    """Make the block after what is trusted, or a later one; who has no key does not vote."""
    at = trust.height + 1 if height is None else height
    header = LightHeader(
        block_version=11,
        app_version=0,
        chain_id=trust.network,
        height=at,
        time=Timestamp(trust.time.seconds + at, 5),
        last_block=None if at == 1 else BlockId(hash=trust.hash or SOME_HASH, parts=PARTS),
        last_commit_hash=SOME_HASH,
        data_hash=SOME_HASH,
        validators_hash=compute_validators_hash(validators),
        next_validators_hash=compute_validators_hash(
            validators if next_validators is None else next_validators
        ),
        consensus_hash=SOME_HASH,
        app_hash=app_hash,
        last_results_hash=SOME_HASH,
        evidence_hash=SOME_HASH,
        proposer=encode_address(validators[0].key),
    )
    empty = tuple(None for _ in validators)
    light = LightBlock(header=header, round=0, parts=PARTS, votes=empty, validators=tuple(validators))
    return sign_light(light, keys, nil=nil)


def vouch_for(  # noqa: PLR0913  what a header follows from
    trust: Trust,
    block: StoredBlock,
    app_hash: str,
    *,
    now: Sequence[LightValidator],
    following: Sequence[LightValidator],
    keys: Mapping[KeyId, SigningKey],
) -> LightBlock:
    """Make the light block that these validators would sign for a stored block."""
    voters = [keys.get(one.key) for one in now]
    light = make_light(trust, now, voters, app_hash=app_hash, next_validators=following)
    seconds, ms = divmod(block.time_ms, 1_000)
    header = msgspec.structs.replace(
        light.header,
        time=Timestamp(seconds, ms * 1_000_000 + 1),
        data_hash=compute_data_hash(list_bundles(block)),
        evidence_hash=SOME_HASH if block.misbehaviours else NO_ITEMS_HASH,
    )
    return sign_light(msgspec.structs.replace(light, header=header), voters)


def sign_light(
    light: LightBlock, keys: Sequence[SigningKey | None], *, nil: Sequence[int] = ()
) -> LightBlock:
    """Let these keys vote for a block as it is; those named in `nil` vote for none."""
    votes = [
        None if key is None else _vote(light, key, is_for_block=index not in nil)
        for index, key in enumerate(keys)
    ]
    return msgspec.structs.replace(light, votes=tuple(votes))


def trust_light(light: LightBlock) -> Trust:
    """Believe a light block without looking."""
    return Trust(
        network=light.header.chain_id,  # type: ignore[arg-type]  # in these tests it is a network's id
        height=light.header.height,
        time=light.header.time,
        hash=compute_light_hash(light.header),
        validators=light.validators,
        next_validators_hash=light.header.next_validators_hash,
    )


def spell_light(light: LightBlock) -> str:
    """Write a light block as a checkpoint carries it."""
    return encode_struct(light).decode("ascii")


def _vote(light: LightBlock, key: SigningKey, *, is_for_block: bool) -> Vote:
    blank = Vote(is_for_block=is_for_block, time=light.header.time, signature="A" * 86)
    message = compute_sign_bytes(light, blank)
    return msgspec.structs.replace(blank, signature=encode_digest(key.sign(message)))
