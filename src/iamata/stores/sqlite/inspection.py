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
from iamata.stores.sqlite.database import Schema
from iamata.stores.sqlite.write_ahead import check_log

LOG: Final = "-wal"
ROLLBACK: Final = "-journal"
SIDES: Final = (LOG, ROLLBACK, "-shm")
"""What SQLite keeps beside a file while it is open, and after a crash."""


@contextlib.contextmanager
def holding_still(path: Path, schema: Schema, *, keeps_journal: bool) -> Iterator[None]:
    """Check a file's pages, then keep file and log from changing while the body reads them."""
    sides = [path.with_name(path.name + side) for side in SIDES]
    before = [side for side in sides if side.exists()]
    connection = _open(path)
    try:
        _refuse_unfinished(path)
        check_log(path.with_name(path.name + LOG))
        _check_pages(connection, path.name, schema, keeps_journal=keeps_journal)
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


def _check_pages(connection: sqlite3.Connection, name: str, schema: Schema, *, keeps_journal: bool) -> None:
    try:
        mode = _ask(connection, "journal_mode")
        require(
            (mode == "wal") is keeps_journal, Reason.HOME_CORRUPT, f"{name} keeps its journal otherwise"
        )
        numbers = (_ask(connection, "application_id"), _ask(connection, "user_version"))
        is_known = numbers == (0, schema.version) and _list_schema(connection) == _compute_schema(schema)
        require(is_known, Reason.HOME_CORRUPT, f"the schema of {name}")
        found = _ask(connection, "integrity_check(1)")
    except (
        sqlite3.Error,
        UnicodeDecodeError,
    ) as error:  # a damaged schema is quoted in SQLite's own errors
        raise Refused(Reason.HOME_CORRUPT, f"{name} cannot be read") from error
    require(found == "ok", Reason.HOME_CORRUPT, f"{name}: {found}")


def _compute_schema(schema: Schema) -> list[object]:
    """Let SQLite say what a file holds in which these statements were run: indexes of its own, too."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for statement in schema.statements:
            connection.execute(statement)
        return _list_schema(connection)


def _list_schema(connection: sqlite3.Connection) -> list[object]:
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"
    return connection.execute(query).fetchall()


def _ask(connection: sqlite3.Connection, pragma: str) -> object:
    row = connection.execute(f"PRAGMA {pragma}").fetchone()
    return None if row is None else row[0]
