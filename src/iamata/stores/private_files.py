"""Small files for their owner alone: mode 600, replaced whole or not at all, limited in size."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from iamata.model.reasons import Reason, Refused, require

PRIVATE_MODE: Final = 0o600


def read_private(path: Path, *, bytes_max: int) -> bytes:
    """Read a file, or refuse one that others may read or that is too large.

    Raise OSError where it is missing: what that means is for the caller to say.
    """
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        raw = file.read(bytes_max + 1)
    require(mode & 0o077 == 0, Reason.CANNOT_OPEN, f"{path} is open to others: chmod 600 it")
    require(len(raw) <= bytes_max, Reason.INPUT_TOO_LARGE, str(path))
    return raw


def replace_private(path: Path, raw: bytes, *, what: str) -> None:
    """Replace a file durably; a crash leaves the old one or the new one."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    except OSError as error:
        raise Refused(Reason.STORAGE_FULL, f"{what} could not be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), PRIVATE_MODE)
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise Refused(Reason.STORAGE_FULL, f"{what} could not be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    """Make a new name durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
