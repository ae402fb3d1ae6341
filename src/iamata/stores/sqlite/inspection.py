"""Hold a file still for a verifier: it is read and never written, and its pages are looked at first.

SQLite folds a write-ahead log into its file when the last connection closes. As long as a connection that
may only read is open, no other one is the last; so the file and its log stay as they were found.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from iamata.model.reasons import Reason, Refused, require

LOG: Final = "-wal"
ROLLBACK: Final = "-journal"
SIDES: Final = (LOG, ROLLBACK, "-shm")
"""What SQLite keeps beside a file while it is open, and after a crash."""


@contextlib.contextmanager
def holding_still(path: Path, *, keeps_journal: bool, version: int) -> Iterator[None]:
    """Check a file's pages, then keep file and log from changing while the body reads them."""
    sides = [path.with_name(path.name + side) for side in SIDES]
    before = [side for side in sides if side.exists()]
    connection = _open(path)
    try:
        _refuse_unfinished(path)
        _check_pages(connection, path.name, keeps_journal=keeps_journal, version=version)
        yield
    finally:
        connection.close()
        for side in sides:
            if side not in before:
                side.unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise Refused(Reason.HOME_CORRUPT, f"{path.name} cannot be opened") from error


def _refuse_unfinished(path: Path) -> None:
    """Refuse a change that a crash cut off: to undo it is to write, and that is the node's to do."""
    journal = path.with_name(path.name + ROLLBACK)
    is_clean = not journal.exists() or journal.stat().st_size == 0
    require(is_clean, Reason.HOME_CORRUPT, f"a crash cut off a change to {path.name}: open the home once")


def _check_pages(connection: sqlite3.Connection, name: str, *, keeps_journal: bool, version: int) -> None:
    try:
        mode = _ask(connection, "journal_mode")
        require(
            (mode == "wal") is keeps_journal, Reason.HOME_CORRUPT, f"{name} keeps its journal otherwise"
        )
        numbers = (_ask(connection, "application_id"), _ask(connection, "user_version"))
        require(numbers == (0, version), Reason.HOME_CORRUPT, f"{name} is of another kind or version")
        found = _ask(connection, "integrity_check(1)")
    except sqlite3.Error as error:
        raise Refused(Reason.HOME_CORRUPT, f"{name} cannot be read: {error}") from error
    require(found == "ok", Reason.HOME_CORRUPT, f"{name}: {found}")


def _ask(connection: sqlite3.Connection, pragma: str) -> object:
    row = connection.execute(f"PRAGMA {pragma}").fetchone()
    return None if row is None else row[0]
