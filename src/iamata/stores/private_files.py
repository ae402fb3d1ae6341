"""Small files for their owner alone: mode 600, replaced whole or not at all, limited in size."""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from iamata.model.reasons import Reason, Refused, require

PRIVATE_MODE: Final = 0o600
HOLD_S: Final = 60
"""How long to wait for who works in a folder already: longer than a node may take to answer."""
_STEP_S: Final = 0.02


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


@contextlib.contextmanager
def hold_folder(folder: Path, *, wait_s: float = HOLD_S) -> Iterator[None]:
    """Keep other processes out of a folder's files while they are read, changed and replaced.

    The lock is on the folder itself, and the kernel drops it when its holder dies. Without a folder
    there is nothing to keep.
    """
    with contextlib.ExitStack() as opened:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, descriptor)
            _await_lock(descriptor, folder, deadline_s=time.monotonic() + wait_s)
        yield


def _await_lock(descriptor: int, folder: Path, *, deadline_s: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline_s:
                raise Refused(Reason.TOO_BUSY, f"another process works with {folder}") from error
            time.sleep(_STEP_S)
        else:
            return


def _sync_folder(folder: Path) -> None:
    """Make a new name durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
