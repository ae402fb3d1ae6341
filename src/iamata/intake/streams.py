"""Unpack gzip and xz with bounded memory, and stop a bomb while it goes off."""

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from iamata.intake.limits import Limits
from iamata.model.reasons import Reason, Refused, require

_CHUNK_BYTES: Final = 2**16
_BROKEN: Final = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError),
    *(struct.error, ValueError, OverflowError, NotImplementedError),
)
"""What the decoders of archives raise when a file is not what it says; the second line by accident."""


@contextmanager
def broken_is_refused() -> Iterator[None]:
    """Turn what the decoders of archives raise into refusals."""
    try:
        yield
    except _BROKEN as error:
        raise Refused(Reason.ARCHIVE_BROKEN) from error
    except OSError as error:
        raise Refused(Reason.CANNOT_OPEN) from error


class Meter:
    """Count what one outer file unpacks to."""

    def __init__(self, packed_bytes: int, limits: Limits) -> None:
        self._unpacked_bytes = 0
        self._unpacked_max = min(
            limits.archive_bytes_max,
            max(limits.archive_ratio_free_bytes, packed_bytes * limits.archive_ratio_max),
        )
        self._allowance: int | None = None

    def allow(self, size_bytes: int) -> None:
        """Bound what may be read from here until the next call: memory that a decoder takes unasked."""
        self._allowance = size_bytes

    def count(self, size_bytes: int) -> None:
        """Refuse when a bound is passed."""
        self._unpacked_bytes += size_bytes
        require(self._unpacked_bytes <= self._unpacked_max, Reason.ARCHIVE_UNSAFE, "unpacks to too much")
        if self._allowance is not None:
            self._allowance -= size_bytes
            require(self._allowance >= 0, Reason.ARCHIVE_UNSAFE, "a header that is too long")


class Metered(io.RawIOBase):
    """A stream whose bytes are counted by a meter."""

    def __init__(self, stream: IO[bytes] | io.RawIOBase, meter: Meter) -> None:
        super().__init__()
        self._stream = stream
        self._meter = meter

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read and count."""
        with broken_is_refused():
            content = self._stream.read(len(buffer)) or b""
        self._meter.count(len(content))
        buffer[: len(content)] = content
        return len(content)


class XzStream(io.RawIOBase):
    """An xz file as a stream; unlike the library's own, it bounds the memory that a header may ask for."""

    def __init__(self, packed: IO[bytes] | io.RawIOBase, limits: Limits) -> None:
        super().__init__()
        self._packed = packed
        self._memory_bytes_max = limits.xz_memory_bytes_max
        self._decoder = self._start()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpack as much as fits."""
        content = b""
        while not content:
            packed = b""
            if self._decoder.eof:
                packed = (self._decoder.unused_data or self._packed.read(_CHUNK_BYTES) or b"").lstrip(b"\0")
                if not packed:
                    return 0
                self._decoder = self._start()
            elif self._decoder.needs_input:
                packed = self._packed.read(_CHUNK_BYTES) or b""
                if not packed:
                    raise EOFError
            content = self._decoder.decompress(packed, len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _start(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=self._memory_bytes_max)


def unpack(
    packed: IO[bytes] | io.RawIOBase, codec: str, *, meter: Meter, limits: Limits
) -> io.BufferedReader:
    """Open a stream that is packed with `gz`, `xz` or nothing."""
    stream = packed
    if codec == "gz":
        stream = gzip.GzipFile(fileobj=packed)  # type: ignore[assignment]
    elif codec == "xz":
        stream = XzStream(packed, limits)
    return io.BufferedReader(Metered(stream, meter), _CHUNK_BYTES)
