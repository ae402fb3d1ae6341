"""Registering and retiring keys: one rule for members, persons and patients alike."""

from iamata.crypto.ed25519 import check_public_key
from iamata.ledger.context import Context
from iamata.ledger.entries import KEYS_MAX, KeyOwner, OwnerKind
from iamata.ledger.rules import Rules
from iamata.ledger.transaction import Possession, Signed
from iamata.model.ids import KeyId, MemberId
from iamata.model.reasons import Reason, require


def check_new_key(key: KeyId, ctx: Context) -> None:
    """Refuse a weak key, and one that was ever registered for anybody."""
    require(key not in ctx.state.keys, Reason.KEY_ALREADY_USED)
    check_public_key(key)


def check_possession(
    possession: Signed[Possession], *, kind: OwnerKind, owner: str, member: MemberId, ctx: Context
) -> None:
    """Refuse a new key whose holder has not signed that it is for this owner at this member."""
    subject = describe_subject(kind, owner, member=member, rules=ctx.rules)
    require(possession.payload.subject == subject, Reason.BAD_PROOF_OF_POSSESSION)
    check_new_key(possession.key, ctx)


def describe_subject(kind: OwnerKind, owner: str, *, member: MemberId, rules: Rules) -> str:
    """Spell whom a key is to speak for, as its holder signs it.

    With the member in it, nobody who sees the proof on its way can use it to enrol the key elsewhere.
    """
    is_member_named = kind is OwnerKind.MEMBER or not rules.is_member_in_possessions
    return f"{kind}/{owner}" if is_member_named else f"{kind}/{owner}@{member}"


def register_key(key: KeyId, *, kind: OwnerKind, owner: str, ctx: Context) -> None:
    """Let a key speak for its owner from now on."""
    ctx.state.keys[key] = KeyOwner(kind=kind, owner=owner)


def retire_key(key: KeyId, ctx: Context) -> None:
    """Let a key speak for nobody any more."""
    entry = ctx.state.keys[key]
    ctx.state.keys[key] = KeyOwner(kind=entry.kind, owner=entry.owner, is_retired=True)


def check_room(keys: tuple[KeyId, ...]) -> None:
    """Refuse a ninth key."""
    require(len(keys) < KEYS_MAX, Reason.TOO_MANY_KEYS)


def check_removal(key: KeyId, keys: tuple[KeyId, ...]) -> tuple[KeyId, ...]:
    """Return the keys without one, or refuse to remove an unknown or the last one."""
    require(key in keys, Reason.UNKNOWN_KEY)
    require(len(keys) > 1, Reason.LAST_KEY)
    return tuple(other for other in keys if other != key)
