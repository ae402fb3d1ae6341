"""Leaves of the event log: one for each included transaction, accepted or not."""

from typing import Any, Final, Union

import msgspec

from iamata.ledger import events
from iamata.model.canonical import encode_struct
from iamata.model.ids import TxId
from iamata.model.instants import Instant


class Leaf(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Which transaction a block took in, and what came of it: 0, or the number of a reason."""

    id: TxId
    height: int | msgspec.UnsetType = msgspec.UNSET
    """Under rules 1 only: with it, the log would depend on how transactions are cut into blocks."""
    time_ms: Instant
    reason: int
    event: Any = msgspec.UNSET
    """An event where the transaction was accepted."""


def encode_leaf(leaf: Leaf) -> bytes:
    """Spell a leaf; it holds no newline, so leaves can be kept a line each."""
    return encode_struct(leaf)


def decode_leaf(raw: bytes) -> Leaf:
    """Read a leaf that a ledger has written."""
    return _LEAVES.decode(raw)


_ANY_EVENT: Final = Union[(*events.Event.__subclasses__(), msgspec.UnsetType)]
_TYPED_LEAF: Final = msgspec.defstruct(
    "Leaf",
    [("event", _ANY_EVENT, msgspec.UNSET)],
    bases=(Leaf,),
    frozen=True,
    gc=False,
    kw_only=True,
    forbid_unknown_fields=True,
)
_LEAVES: Final[msgspec.json.Decoder[Leaf]] = msgspec.json.Decoder(_TYPED_LEAF)
