"""Bundles: what consensus orders as one transaction is one or more of ours, a line each.

Consensus costs for each message, hardly for each byte. A transaction holds no newline, so a bundle has one
spelling: its lines, and a newline between two of them.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from iamata.model.reasons import Reason, require

BUNDLE_BYTES_MAX: Final = 64 * 1024
BUNDLE_LINES_MAX: Final = 512

_NEWLINE: Final = b"\n"


def split_bundle(raw: bytes) -> list[bytes]:
    """Return a bundle's lines, which may be anything, or refuse it as a whole."""
    require(len(raw) <= BUNDLE_BYTES_MAX, Reason.TOO_LARGE, "a bundle")
    lines = raw.split(_NEWLINE)
    require(len(lines) <= BUNDLE_LINES_MAX, Reason.TOO_LARGE, "the lines of a bundle")
    return lines


def join_lines(lines: Iterable[bytes]) -> bytes:
    """Spell a bundle."""
    return _NEWLINE.join(lines)


def gather_bundles(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Put lines into as few bundles as hold them, in their order."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        is_full = size + len(line) > BUNDLE_BYTES_MAX or len(gathered) == BUNDLE_LINES_MAX
        if gathered and is_full:
            yield gathered
            gathered, size = [], 0
        gathered.append(line)
        size += len(line) + len(_NEWLINE)
    if gathered:
        yield gathered
