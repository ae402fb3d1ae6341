"""Frames of CometBFT's socket: an unsigned varint that counts bytes, then one message."""

from typing import Final

FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""CometBFT may send 2 GiB; its largest message here is a block, or a chunk of a snapshot, far below."""
VARINT_BYTES_MAX: Final = 5

_MORE: Final = 0x80
_BITS: Final = 7


class FramingError(Exception):
    """What arrived is no frame; there is no telling where the next one would begin."""


class FrameReader:
    """Takes bytes as they come, and gives frames as they are whole."""

    def __init__(self, size_max: int = FRAME_BYTES_MAX) -> None:
        self._size_max = size_max
        self._pending = bytearray()

    @property
    def is_between_frames(self) -> bool:
        """Whether nothing of an unfinished frame has arrived."""
        return not self._pending

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in, and return the frames that they complete."""
        pending = self._pending
        pending += data
        frames: list[bytes] = []
        begin = 0
        while (head := _read_length(pending, begin)) is not None:
            size, start = head
            if size > self._size_max:
                message = f"a frame of {size} bytes, where {self._size_max} are allowed"
                raise FramingError(message)
            if len(pending) < start + size:
                break
            frames.append(bytes(pending[start : start + size]))
            begin = start + size
        del pending[:begin]
        return frames


def write_frame(message: bytes) -> bytes:
    """Put its length in front of a message."""
    size = len(message)
    head = bytearray()
    while size >= _MORE:
        head.append(size & (_MORE - 1) | _MORE)
        size >>= _BITS
    head.append(size)
    return bytes(head) + message


def _read_length(data: bytearray, begin: int) -> tuple[int, int] | None:
    """Return the length that begins here and where its message does, or None while it is cut off."""
    size = 0
    for offset in range(VARINT_BYTES_MAX):
        if begin + offset >= len(data):
            return None
        byte = data[begin + offset]
        size |= (byte & (_MORE - 1)) << (_BITS * offset)
        if byte < _MORE:
            return size, begin + offset + 1
    message = f"a length of more than {VARINT_BYTES_MAX} bytes"
    raise FramingError(message)
