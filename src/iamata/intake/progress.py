"""Tell how far an import has come, in bytes of the files as they lie on the disk."""

import io
from typing import BinaryIO


class Progress:
    """Count what has been read; whoever shows it adds a clock."""

    def __init__(self) -> None:
        self.files_read = 0
        self.bytes_read = 0
        self.bytes_total = 0
        """Grows by the size of all files for each further pass over them."""


class CountedFile(io.RawIOBase):
    """A file that adds what is read from it to a progress."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        super().__init__()
        self._file = file
        self._progress = progress

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in, which zip needs."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read and count."""
        size = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self._progress.bytes_read += size
        return int(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, without counting."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Tell the place in the file."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()
