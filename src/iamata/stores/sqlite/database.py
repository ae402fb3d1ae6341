"""One SQLite file: private, durable, and honest about a full disk or a damaged page.

One connection writes, under a lock; each reading thread has its own. Both refuse by name what
SQLite reports, so that no store above needs to know its error codes.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn, TypeAlias, TypeVar

import msgspec

from iamata.model.reasons import Reason, Refused, require

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
BUSY_TIMEOUT_S: Final = 5
CACHE_KIB: Final = 32_768
ROWS_PER_FETCH: Final = 512

_FULL: Final = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

Values: TypeAlias = "tuple[object, ...] | Mapping[str, object]"
RowT = TypeVar("RowT")


class Schema(msgspec.Struct, frozen=True):
    """The statements that make a file's tables, and the number of this version of them."""

    version: int
    statements: tuple[str, ...]


class Database:
    """A file with one schema. What it was made with is compared each time it is opened."""

    def __init__(self, path: Path, schema: Schema, *, keeps_journal: bool) -> None:
        """Open a file, or create it. Without `keeps_journal` (WAL) no copy of a page lingers."""
        self._path = path
        self._keeps_journal = keeps_journal
        self._lock = threading.RLock()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        _create_private_file(path)
        self._writer = self._connect()
        with self._refusing_faults():
            self._writer.execute(f"PRAGMA journal_mode = {'WAL' if keeps_journal else 'TRUNCATE'}")
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute("PRAGMA secure_delete = ON")
            self._writer.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._create_tables(schema)
        require(self.read_schema() == schema, Reason.HOME_CORRUPT, f"the schema of {path.name}")

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            while self._connections:
                self._connections.pop().close()

    def read_schema(self) -> Schema:
        """Read the schema that the file has, for a verifier to compare with the one it must have."""
        statements = self.read(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid", (), tuple[str]
        )
        version = self.find("PRAGMA user_version", (), tuple[int])
        return Schema(version=version[0] if version else 0, statements=tuple(row[0] for row in statements))

    def find(self, statement: str, values: Values, kind: type[RowT]) -> RowT | None:
        """Return the first row of a query, or None."""
        with self._refusing_faults(), self._reading() as connection:
            row = connection.execute(statement, values).fetchone()
            return None if row is None else msgspec.convert(row, kind)

    def read(self, statement: str, values: Values, kind: type[RowT]) -> Iterator[RowT]:
        """Read the rows of a query, each checked to be of a kind: a damaged file may hold anything."""
        with self._refusing_faults(), self._reading() as connection:
            cursor = connection.execute(statement, values)
            while rows := cursor.fetchmany(ROWS_PER_FETCH):
                yield from msgspec.convert(rows, list[kind])  # type: ignore[valid-type]  # a value

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run one durable transaction, whole or not at all."""
        with self._lock, self._refusing_faults():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def truncate_journal(self) -> None:
        """Move the write-ahead log into the file and cut it to nothing, as far as readers allow."""
        with self._lock, self._refusing_faults():
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self._keeps_journal:
            with self._lock:
                yield self._writer
            return
        if not hasattr(self._local, "reader"):
            self._local.reader = self._connect()
            self._local.reader.execute("PRAGMA query_only = ON")
        yield self._local.reader

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S
        )
        with self._lock:
            self._connections.append(connection)
        return connection

    def _create_tables(self, schema: Schema) -> None:
        if self.find("SELECT count(*) FROM sqlite_schema", (), tuple[int]) == (0,):
            with self.writing() as connection:
                _execute_all(connection, schema.statements)
                connection.execute(f"PRAGMA user_version = {schema.version}")

    @contextlib.contextmanager
    def _refusing_faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            self._refuse(error)
        except (msgspec.ValidationError, UnicodeDecodeError) as error:  # SQLite's errors quote damaged text
            raise Refused(Reason.HOME_CORRUPT, f"a row of {self._path.name}") from error

    def _refuse(self, error: sqlite3.DatabaseError) -> NoReturn:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if code in _FULL:
            raise Refused(Reason.STORAGE_FULL, f"{self._path.name} could not be written") from error
        if code in _BUSY:
            raise Refused(Reason.TOO_BUSY, f"{self._path.name} is locked") from error
        raise Refused(Reason.HOME_CORRUPT, self._path.name) from error


def _execute_all(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def _create_private_file(path: Path) -> None:
    """Create a file that only its owner can read; SQLite gives its journals the same mode."""
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
