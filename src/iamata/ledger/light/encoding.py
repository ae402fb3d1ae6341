"""Protocol buffers, as much of them as CometBFT hashes and signs: a field at a time, in one spelling.

As proto3 says, a number that is zero and bytes that are empty are not written; a message inside is written
even when it is empty, wherever CometBFT's generated code does so.
"""

import struct
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
LENGTH_DELIMITED: Final = 2

_UINT64: Final = 2**64
_SFIXED64: Final = struct.Struct("<q")


def write_varint(value: int) -> bytes:
    """Write an integer in groups of seven bits; a negative one as its 64-bit complement."""
    value %= _UINT64
    groups = bytearray()
    while value > 0x7F:  # noqa: PLR2004  seven bits
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def write_number(field: int, value: int) -> bytes:
    """Write a field of type int32, int64, uint32, uint64 or enum."""
    return _write_key(field, VARINT) + write_varint(value) if value else b""


def write_fixed(field: int, value: int) -> bytes:
    """Write a field of type sfixed64."""
    return _write_key(field, FIXED64) + _SFIXED64.pack(value) if value else b""


def write_bytes(field: int, value: bytes) -> bytes:
    """Write a field of type bytes or string."""
    return write_message(field, value) if value else b""


def write_message(field: int, message: bytes) -> bytes:
    """Write a message inside another, an empty one too."""
    return _write_key(field, LENGTH_DELIMITED) + write_delimited(message)


def write_delimited(message: bytes) -> bytes:
    """Write a message behind its length."""
    return write_varint(len(message)) + message


def _write_key(field: int, kind: int) -> bytes:
    return write_varint(field << 3 | kind)
