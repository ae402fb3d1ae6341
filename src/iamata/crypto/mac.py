"""Authentication codes under one key for many messages: HMAC-SHA-256 (RFC 2104, FIPS 198-1)."""

import hashlib
from typing import Final

KEY_BYTES: Final = 32

_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class Mac:
    """A key whose part of every computation is done once. Its text form says nothing about it."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            message = f"HMAC-SHA-256 takes a key of {KEY_BYTES} bytes here"
            raise ValueError(message)
        padded = key.ljust(_BLOCK_BYTES, b"\x00")
        self._inner = hashlib.sha256(padded.translate(_INNER))
        self._outer = hashlib.sha256(padded.translate(_OUTER))

    def __repr__(self) -> str:
        return "Mac()"

    def compute(self, message: bytes) -> bytes:
        """Compute what tells this message from every other to whoever has the key."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()
