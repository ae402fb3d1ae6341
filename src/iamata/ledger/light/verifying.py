"""When to believe a light block: who is trusted already, and how much of their weight has signed it.

The rules are those of CometBFT's light client (spec/light-client/verification): from what is trusted to
the very next height, or to any later one where more than a third of the trusted weight has signed it too.
A third is more than may be faulty, so one honest validator at least saw that block final.

Signatures are checked by the one library that the ledger trusts. It refuses a few odd ones that CometBFT
would count (ZIP 215) and only a validator that cheats can make; who writes a light block leaves them out.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

from iamata.crypto.ed25519 import is_valid
from iamata.ledger.genesis import Genesis, compute_network_id, get_first_height
from iamata.ledger.light.blocks import (
    LightBlock,
    LightValidator,
    Timestamp,
    compute_light_hash,
    compute_sign_bytes,
    compute_validators_hash,
    decode_signature,
    order_validators,
)
from iamata.model.ids import Digest, NetworkId
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason, require

TRUST_MS: Final = 14 * MS_PER_DAY
"""How long what was trusted may vouch for what came after it, for whoever fears that the keys of validators
of long ago were stolen since: evidence against a validator counts for longer."""
DRIFT_MS: Final = 10_000
"""How far ahead of the reader's clock a header may be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trust:
    """What is believed already: where the chain stood, and who ordered there."""

    network: NetworkId
    height: int
    time: Timestamp
    hash: Digest | None
    """Of the header; the genesis has none."""
    validators: tuple[LightValidator, ...]
    next_validators_hash: Digest


def trust_genesis(genesis: Genesis) -> Trust:
    """Begin with the validators that the founders agreed on."""
    validators = order_validators(genesis.validators)
    seconds, ms = divmod(genesis.created_ms, 1_000)
    return Trust(
        network=compute_network_id(genesis),
        height=get_first_height(genesis) - 1,
        time=Timestamp(seconds, ms * 1_000_000),
        hash=None,
        validators=validators,
        next_validators_hash=compute_validators_hash(validators),
    )


def trust_light_block(light: LightBlock, trust: Trust) -> Trust:
    """Say what is trusted where a light block is: one that was checked before."""
    header = light.header
    return Trust(
        network=trust.network,
        height=header.height,
        time=header.time,
        hash=compute_light_hash(header),
        validators=light.validators,
        next_validators_hash=header.next_validators_hash,
    )


def check_light_block(light: LightBlock, trust: Trust) -> Trust:
    """Return what is to be trusted after a light block that follows from what is trusted now, or refuse."""
    header = light.header
    height = header.height
    require(header.chain_id == trust.network, Reason.FOREIGN_NETWORK, f"the header of height {height}")
    checked = trust_light_block(light, trust)
    if height == trust.height:
        _require(checked.hash == trust.hash, height, "is not the one that is trusted there")
    else:
        _check_step(light, trust)
    names_validators = compute_validators_hash(light.validators) == header.validators_hash
    _require(names_validators, height, "names other validators than those shown")
    _check_commit(light)
    return checked


def is_fresh(time_ms: int, *, now_ms: int, period_ms: int = TRUST_MS) -> bool:
    """Tell whether votes of that time still count alone: not so old that keys may have been lost since."""
    return time_ms + period_ms > now_ms


def check_clock(light: LightBlock, *, now_ms: int) -> None:
    """Refuse a header from the future."""
    is_past = light.header.time.ms <= now_ms + DRIFT_MS
    _require(is_past, light.header.height, "is from the future")


def find_steps(light: LightBlock, trust: Trust, between: Sequence[LightBlock]) -> list[LightBlock]:
    """Choose the fewest light blocks that lead from what is trusted to another; all are checked already.

    `between` must hold, in order, the first block of each set of validators and the last one before it.
    """
    steps: list[LightBlock] = []
    while not is_within_reach(light, trust):
        later = [one for one in between if trust.height < one.header.height < light.header.height]
        reached = [one for one in later if is_within_reach(one, trust)]
        _require(bool(reached), light.header.height, "cannot be reached from what is trusted")
        steps.append(reached[-1])
        trust = trust_light_block(reached[-1], trust)
    return steps


def is_within_reach(light: LightBlock, trust: Trust) -> bool:
    """Tell whether those who are trusted can vouch for a block: it is the next, or enough of them voted."""
    if light.header.height <= trust.height + 1:
        return True
    return 3 * _compute_trusted_power(light, trust) > compute_power(trust.validators)


def compute_power(validators: Sequence[LightValidator]) -> int:
    """Add the weights."""
    return sum(one.power for one in validators)


def count_faulty(validators: Sequence[LightValidator]) -> int:
    """Count how many may fail or cheat, the heaviest first, while the rest still agrees and is right."""
    total, failing, count = compute_power(validators), 0, 0
    for one in sorted(validators, key=lambda one: -one.power):
        failing += one.power
        if 3 * failing >= total:
            break
        count += 1
    return count


def _check_step(light: LightBlock, trust: Trust) -> None:
    """Refuse a block that is not later, or that those trusted do not vouch for."""
    header = light.header
    _require(header.height > trust.height, header.height, "lies before what is trusted")
    _require(header.time > trust.time, header.height, "is not later than what is trusted")
    if header.height == trust.height + 1:
        before = None if header.last_block is None else header.last_block.hash
        follows = before == trust.hash  # what a genesis is followed by follows no block
        _require(follows, header.height, "does not follow the one before")
        is_named = header.validators_hash == trust.next_validators_hash
        _require(is_named, header.height, "has other validators than the one before announced")
    else:
        _require(header.last_block is not None, header.height, "follows no block")
        signed = _compute_trusted_power(light, trust)
        is_known = 3 * signed > compute_power(trust.validators)
        _require(
            is_known, header.height, "is signed by too few of those who are trusted; show one in between"
        )


def _compute_trusted_power(light: LightBlock, trust: Trust) -> int:
    """Add the trusted weights of those who voted for a block; that the votes hold is checked with all."""
    voters = [
        one.key
        for one, vote in zip(light.validators, light.votes, strict=True)
        if vote is not None and vote.is_for_block
    ]
    return sum(one.power for one in trust.validators if one.key in voters)


def _check_commit(light: LightBlock) -> None:
    """Refuse unless every vote holds, and those for the block have more than two thirds of the weight."""
    height, power = light.header.height, 0
    for index, (one, vote) in enumerate(zip(light.validators, light.votes, strict=True)):
        if vote is None:
            continue
        message = compute_sign_bytes(light, vote)
        holds = is_valid(one.key, message, decode_signature(vote.signature))
        require(holds, Reason.BAD_SIGNATURE, f"vote {index} for the header of height {height}")
        power += one.power if vote.is_for_block else 0
    is_final = 3 * power > 2 * compute_power(light.validators)
    _require(is_final, height, "has the votes of no more than two thirds of the weight")


def _require(condition: bool, height: int, what: str) -> None:  # noqa: FBT001  reads as a sentence
    require(condition, Reason.FAULT_FOUND, f"the header of height {height} {what}")
