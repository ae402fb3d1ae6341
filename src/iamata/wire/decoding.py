"""Decoders for types that several threads read: each is made once, by one thread."""

import threading
from typing import Any, Final, TypeVar

import msgspec

KindT = TypeVar("KindT")


def get_decoder(kind: type[KindT]) -> "msgspec.json.Decoder[KindT]":
    """Return the decoder of JSON for a type, from any thread.

    msgspec looks a struct's fields up when it is first asked for the struct, and puts what it has not yet
    filled in where other threads find it: two that read a type for the first time end the process.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        with _MAKING:
            decoder = _DECODERS.setdefault(kind, msgspec.json.Decoder(kind))
    return decoder


_DECODERS: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}
_MAKING: Final = threading.Lock()
"""One for all types: they have parts in common."""
