"""What validators have agreed on, height by height: light blocks in a file beside the ledger.

Written once and never changed: of one height there is one header, and the votes that were seen first will
do. They are the node's evidence, for checkpoints and exports; what is not final is never in it.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from iamata.engines.keeping.connecting import connect
from iamata.engines.keeping.faults import refuse_damage, refusing_faults
from iamata.ledger.light.blocks import LightBlock, read_light_block
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused

COMMITS_FILE: Final = "commits.db"

SCHEMA: Final = (
    """CREATE TABLE light (
        height INTEGER PRIMARY KEY,
        app_hash TEXT NOT NULL,
        validators_hash TEXT NOT NULL,
        block BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX light_by_app_hash ON light (app_hash, height)",
)


class CommitFile:
    """One connection, for one thread at a time."""

    def __init__(self, folder: Path, *, is_writer: bool) -> None:
        self._guard = threading.Lock()
        self._db = connect(folder / COMMITS_FILE, is_writer=is_writer)
        try:
            with refusing_faults(COMMITS_FILE):
                self._set_up(is_writer=is_writer)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def add(self, light: LightBlock) -> None:
        """Keep a light block whose votes were checked; what is there already stays."""
        header = light.header
        row = (header.height, header.app_hash, header.validators_hash, encode_struct(light))
        with self._guard, refusing_faults(COMMITS_FILE):
            self._db.execute("INSERT OR IGNORE INTO light VALUES (?, ?, ?, ?)", row)

    def find_last_height(self) -> int:
        """Return the newest height that is kept, 0 where there is none."""
        row = self._find("SELECT coalesce(max(height), 0) FROM light")
        return 0 if row is None else int(row[0])

    def find(self, height: int) -> bytes | None:
        """Return the light block of a height as it is kept, or None."""
        return self._find_block("SELECT block FROM light WHERE height = ?", height)

    def find_vouching(self, app_hash: str, *, height: int) -> bytes | None:
        """Return the first light block that vouches for what a block at a height came to, or None.

        It is the next one; or that block's own header, where the block was empty and changed nothing.
        """
        statement = (
            "SELECT block FROM light WHERE app_hash = ? AND height IN (?, ?) ORDER BY height LIMIT 1"
        )
        return self._find_block(statement, app_hash, height, height + 1)

    def list_turns(self) -> list[LightBlock]:
        """List the first light block of each set of validators, and the last before it, oldest first."""
        with self._guard, refusing_faults(COMMITS_FILE):
            rows = self._db.execute(
                "WITH seen AS (SELECT height, validators_hash AS now, "
                "lag(validators_hash) OVER (ORDER BY height) AS before, "
                "lead(validators_hash) OVER (ORDER BY height) AS following FROM light) "
                "SELECT block FROM light WHERE height IN (SELECT height FROM seen "
                "WHERE now IS NOT before OR (now <> following)) ORDER BY height"
            ).fetchall()
        return [read_kept(_check_blob(row[0])) for row in rows]

    def read_all(self, *, first_height: int = 1) -> Iterator[tuple[int, bytes]]:
        """Read what is kept in order; no lock is held between two of them."""
        height = first_height
        statement = "SELECT height, block FROM light WHERE height >= ? ORDER BY height LIMIT 1"
        while (row := self._find(statement, height)) is not None:
            yield row[0], _check_blob(row[1])
            height = row[0] + 1

    def read_schema(self) -> tuple[str, ...]:
        """Return the statements that made the tables, for a verifier to compare."""
        with self._guard, refusing_faults(COMMITS_FILE):
            rows = self._db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
            return tuple(row[0] for row in rows)

    def _set_up(self, *, is_writer: bool) -> None:
        if not is_writer:
            self._db.execute("PRAGMA query_only = ON")
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # what is lost can be asked for again
        if self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            self._db.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA:
                self._db.execute(statement)
            self._db.execute("COMMIT")
        if self.read_schema() != SCHEMA:
            refuse_damage("the tables of the commits are not those that this version makes")

    def _find_block(self, statement: str, *values: int | str) -> bytes | None:
        row = self._find(statement, *values)
        return None if row is None else _check_blob(row[0])

    def _find(self, statement: str, *values: int | str) -> tuple[Any, ...] | None:
        with self._guard, refusing_faults(COMMITS_FILE):
            row: tuple[Any, ...] | None = self._db.execute(statement, values).fetchone()
        return row


def _check_blob(blob: object) -> bytes:
    if not isinstance(blob, bytes):
        refuse_damage("a light block")
    return blob


def read_kept(raw: bytes) -> LightBlock:
    """Read a light block that was kept, or refuse a file that was changed."""
    try:
        return read_light_block(raw)
    except Refused as refused:
        raise Refused(Reason.HOME_CORRUPT, f"{COMMITS_FILE}: {refused}") from refused
