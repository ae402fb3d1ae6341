"""Check a write-ahead log frame by frame, as SQLite's file format document says (section 4).

SQLite takes a frame whose checksum fails for the end of the log, and everything after it for never written.
That is right after a power cut, and wrong after a flipped bit; to a verifier it is a fault in either case.
"""

import struct
from pathlib import Path
from typing import Final

from iamata.model.reasons import Reason, require

MAGIC: Final = 0x377F0682
"""The last bit says in which order the checksums take bytes."""
HEADER: Final = struct.Struct(">8I")
FRAME: Final = struct.Struct(">6I")
CHECKED: Final = 8
"""So many bytes of a frame's own header are under its checksum."""

_WORD: Final = 0xFFFFFFFF


def check_log(log: Path) -> None:
    """Refuse a log with a frame of its present generation that does not check."""
    content = log.read_bytes() if log.exists() else b""
    if not content:
        return
    name = f"{log.name}: a bit changed, or a crash cut it off (then open the home once)"
    require(len(content) >= HEADER.size, Reason.HOME_CORRUPT, name)
    magic, _, page_size, _, *salts, first, second = HEADER.unpack_from(content)
    order = ">" if magic & 1 else "<"
    state = _add(content[: HEADER.size - CHECKED], order, (0, 0))
    require(magic | 1 == MAGIC | 1 and state == (first, second), Reason.HOME_CORRUPT, name)
    is_over = False
    step = FRAME.size + page_size
    for start in range(HEADER.size, len(content) - step + 1, step):
        *_, salt, other_salt, first, second = FRAME.unpack_from(content, start)
        matches = (salt == salts[0]) + (other_salt == salts[1])
        if matches == 0:  # left over from an earlier generation, which reached further
            is_over = True
            continue
        state = _add(content[start : start + CHECKED], order, state)
        state = _add(content[start + FRAME.size : start + step], order, state)
        is_whole = not is_over and matches == len(salts) and state == (first, second)
        require(is_whole, Reason.HOME_CORRUPT, f"{name}, at byte {start}")


def _add(content: bytes, order: str, state: tuple[int, int]) -> tuple[int, int]:
    first, second = state
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
