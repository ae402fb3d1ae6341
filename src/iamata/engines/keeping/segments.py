"""The stored form of the map: each block appends what it wrote, and garbage moves out bit by bit.

A segment is one block's entries in one blob. An entry is live while no later segment holds its key; the
ledger never deletes a key. Rows updated in place at random keys would cost five times as much.
"""

import dataclasses
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

GARBAGE_FREE: Final = 10_000
"""Entries that may be garbage before it is worth moving anything."""
MOVES_PER_WRITE: Final = 2

_HEAD: Final = struct.Struct(">HI")


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """What one block appends: its own entries and those moved out of the segments it empties."""

    height: int
    entries: dict[bytes, bytes]
    emptied: tuple[int, ...] = ()


class SegmentIndex:
    """Knows in which segment each key's newest value lies, and how much of what is stored is garbage."""

    def __init__(self) -> None:
        self._home: dict[bytes, int] = {}
        self._sizes: deque[tuple[int, int]] = deque()
        self._stored = 0

    def plan(
        self, height: int, fresh: Mapping[bytes, bytes], read_segment: Callable[[int], bytes]
    ) -> Segment:
        """Say what a block should append; take the oldest away while garbage outweighs what is live."""
        moved: dict[bytes, bytes] = {}
        emptied: list[int] = []
        budget, stored = MOVES_PER_WRITE * len(fresh), self._stored
        garbage_from = 2 * len(self._home) + GARBAGE_FREE
        for old_height, size in self._sizes:
            if budget <= 0 or stored <= garbage_from:
                break
            moved |= {
                key: value
                for key, value in decode_segment(read_segment(old_height)).items()
                if self._home.get(key) == old_height and key not in fresh
            }
            budget, stored = budget - size, stored - size
            emptied.append(old_height)
        return Segment(height, {**moved, **fresh}, tuple(emptied))

    def add(self, segment: Segment) -> None:
        """Take note of a segment that is now in the file, and of those that are not any more."""
        for _ in segment.emptied:
            _, size = self._sizes.popleft()
            self._stored -= size
        if not segment.entries:
            return  # a block that wrote nothing has no segment in the file
        self._home.update(dict.fromkeys(segment.entries, segment.height))
        self._sizes.append((segment.height, len(segment.entries)))
        self._stored += len(segment.entries)


def encode_segment(entries: Mapping[bytes, bytes]) -> bytes:
    """Write entries one after the other: two lengths, key, value."""
    pack = _HEAD.pack
    return b"".join([pack(len(key), len(value)) + key + value for key, value in entries.items()])


def decode_segment(blob: bytes) -> dict[bytes, bytes]:
    """Read what `encode_segment` wrote; raise ValueError where it was changed."""
    entries: dict[bytes, bytes] = {}
    offset, end, unpack, head = 0, len(blob), _HEAD.unpack_from, _HEAD.size
    try:
        while offset < end:
            key_size, value_size = unpack(blob, offset)
            start = offset + head
            middle = start + key_size
            offset = middle + value_size
            entries[blob[start:middle]] = blob[middle:offset]
    except struct.error as error:
        message = "a segment of the state ends in the middle of a length"
        raise ValueError(message) from error
    if offset != end:
        message = "a segment of the state ends in the middle of an entry"
        raise ValueError(message)
    return entries
