"""The stored form of the map: each block appends what it wrote, and garbage is moved out a little at a time.

A segment is one block's entries in one blob. An entry is live while no later segment holds its key; the
ledger never deletes a key. Rows updated in place at random keys would cost five times as much.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

GARBAGE_FREE: Final = 10_000
"""Entries that may be garbage before it is worth moving anything."""
MOVES_PER_WRITE: Final = 2

_HEAD: Final = struct.Struct(">HI")


class SegmentIndex:
    """Knows in which segment each key's newest value lies, and how much of what is stored is garbage."""

    def __init__(self) -> None:
        self._home: dict[bytes, int] = {}
        self._sizes: deque[tuple[int, int]] = deque()
        self._stored = 0

    def add(self, height: int, entries: Mapping[bytes, bytes]) -> None:
        """Take note of the newest segment."""
        self._home.update(dict.fromkeys(entries, height))
        self._sizes.append((height, len(entries)))
        self._stored += len(entries)

    def collect(
        self, fresh: Mapping[bytes, bytes], read_segment: Callable[[int], bytes]
    ) -> tuple[dict[bytes, bytes], list[int]]:
        """Take the oldest segments away while garbage outweighs what is live; return what must be moved."""
        moved: dict[bytes, bytes] = {}
        emptied: list[int] = []
        budget = MOVES_PER_WRITE * len(fresh)
        while self._sizes and budget > 0 and self._stored > 2 * len(self._home) + GARBAGE_FREE:
            height, size = self._sizes.popleft()
            for key, value in decode_segment(read_segment(height)):
                if self._home[key] == height and key not in fresh:
                    moved[key] = value
            self._stored -= size
            budget -= size
            emptied.append(height)
        return moved, emptied


def encode_segment(entries: Mapping[bytes, bytes]) -> bytes:
    """Write entries one after the other: two lengths, key, value."""
    pack = _HEAD.pack
    return b"".join([pack(len(key), len(value)) + key + value for key, value in entries.items()])


def decode_segment(blob: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Read what `encode_segment` wrote; raise ValueError where it was changed."""
    offset, end, unpack, head = 0, len(blob), _HEAD.unpack_from, _HEAD.size
    while offset < end:
        if offset + head > end:
            message = "a segment of the state ends in the middle of an entry"
            raise ValueError(message)
        key_size, value_size = unpack(blob, offset)
        start = offset + head
        middle, offset = start + key_size, start + key_size + value_size
        if offset > end:
            message = "a segment of the state ends in the middle of an entry"
            raise ValueError(message)
        yield blob[start:middle], blob[middle:offset]
