"""Registering and retiring keys: one rule for members, persons and patients alike."""

from iamata.crypto.ed25519 import check_public_key
from iamata.ledger.context import Context
from iamata.ledger.entries import KEYS_MAX, KeyOwner, OwnerKind
from iamata.ledger.transaction import Possession, Signed
from iamata.model.ids import KeyId
from iamata.model.reasons import Reason, require


def check_new_key(key: KeyId, ctx: Context) -> None:
    """Refuse a weak key, and one that was ever registered for anybody."""
    require(key not in ctx.state.keys, Reason.KEY_ALREADY_USED)
    check_public_key(key)


def check_possession(possession: Signed[Possession], *, kind: OwnerKind, owner: str, ctx: Context) -> None:
    """Refuse a new key whose holder has not signed that it is for this owner."""
    require(possession.payload.subject == f"{kind}/{owner}", Reason.BAD_PROOF_OF_POSSESSION)
    check_new_key(possession.key, ctx)


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
