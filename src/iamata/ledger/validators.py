"""Who orders blocks together: each a member, with one consensus key and the weight of its vote.

Where one signer orders blocks there are no validators, and none can be appointed: that takes a network
that continues this one.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from iamata.ledger import keyring
from iamata.ledger.context import Context
from iamata.ledger.entries import KeyOwner, OwnerKind, Validator
from iamata.model.ids import KeyId, MemberId
from iamata.model.reasons import Reason, require

POWER_MAX: Final = 1_000
"""Of one validator: far below what consensus can count, and enough to weigh a hundred members."""
VALIDATORS_MAX: Final = 100


class ValidatorUpdate(msgspec.Struct, frozen=True):
    """What consensus has to be told: from now on this key has this weight, or with 0 none."""

    key: KeyId
    power: int


def check_appointment(member: MemberId, key: KeyId, power: int, ctx: Context) -> Callable[[], None]:
    """Refuse a validator of a member that is not active, a used or weak key, a weight out of range.

    A member that is one already changes its key or its weight by the same step.
    """
    validators = ctx.state.validators
    others = tuple(one for one in validators if one.member != member)
    before = [one for one in validators if one.member == member]
    ctx.require_active(member)
    require(bool(validators), Reason.PROPOSAL_NOT_APPLICABLE)
    require(power <= POWER_MAX and len(others) < VALIDATORS_MAX, Reason.PARAMETER_OUT_OF_RANGE)
    is_same_key = any(one.key == key for one in before)
    if not is_same_key:
        keyring.check_new_key(key, ctx)

    def carry_out() -> None:
        if not is_same_key:
            for one in before:
                keyring.retire_key(one.key, ctx)
            ctx.state.keys[key] = KeyOwner(kind=OwnerKind.VALIDATOR, owner=member)
        fresh = Validator(member=member, key=key, power=power)
        ctx.state.validators = tuple(sorted((*others, fresh), key=lambda one: one.member))

    return carry_out


def check_dismissal(member: MemberId, ctx: Context, *, key: KeyId | None = None) -> Callable[[], None]:
    """Refuse to dismiss the last validator, and, where a key is named, one that is not appointed."""
    validators = ctx.state.validators
    remaining = tuple(one for one in validators if one.member != member)
    gone = [one for one in validators if one.member == member]
    require(key is None or [one.key for one in gone] == [key], Reason.PROPOSAL_NOT_APPLICABLE)
    require(bool(remaining) or not gone, Reason.LAST_VALIDATOR)

    def carry_out() -> None:
        for one in gone:
            keyring.retire_key(one.key, ctx)
            ctx.state.validators = remaining

    return carry_out


def compute_updates(before: Sequence[Validator], after: Sequence[Validator]) -> list[ValidatorUpdate]:
    """Compute what consensus has to be told when a block has changed who orders."""
    old = {one.key: one.power for one in before}
    new = {one.key: one.power for one in after}
    gone = [ValidatorUpdate(key, 0) for key in old if key not in new]
    return gone + [ValidatorUpdate(key, power) for key, power in new.items() if old.get(key) != power]
