"""Open one of a ledger folder's files of SQLite: for its owner alone, errors in words to act on."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from iamata.engines.keeping.faults import refusing_faults
from iamata.model.reasons import Reason, Refused

BUSY_TIMEOUT_S: Final = 5


def connect(path: Path, *, is_writer: bool) -> sqlite3.Connection:
    """Open a file; the writer makes it where there is none."""
    if is_writer:
        _create_privately(path)
    with refusing_faults(path.name):
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S)


def _create_privately(path: Path) -> None:
    """Create the file, if there is none, for its owner alone; SQLite gives its mode to those beside it.

    One that is there is not touched: to close it would drop the locks of every connection that this process
    has to it (fcntl(2)), and another process could then take its write-ahead log away.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise Refused(Reason.HOME_NOT_FOUND, f"{path}: {error.strerror}") from error
