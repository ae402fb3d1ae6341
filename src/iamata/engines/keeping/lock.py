"""One process at a time on one ledger: an advisory lock that the kernel drops when its holder dies."""

import fcntl
import os
from pathlib import Path
from typing import Final

from iamata.model.reasons import Reason, Refused

LOCK_FILE: Final = "lock"


class LedgerLock:
    """Held from start to close."""

    def __init__(self, folder: Path) -> None:
        try:
            self._descriptor = os.open(folder / LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise Refused(Reason.HOME_NOT_FOUND, f"{folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise Refused(Reason.HOME_IN_USE, "another process has this ledger open") from error

    def release(self) -> None:
        """Let the next process in."""
        os.close(self._descriptor)
