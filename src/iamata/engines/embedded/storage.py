"""The ledger's file: blocks, the map's segments and the log's tiles, one durable transaction a block."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from iamata.engines.embedded.segments import SegmentIndex, decode_segment, encode_segment
from iamata.model.reasons import Reason, Refused

LEDGER_FILE: Final = "ledger.db"
BUSY_TIMEOUT_S: Final = 5

SCHEMA: Final = (
    """CREATE TABLE block (
        height INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        first_leaf INTEGER NOT NULL,
        header BLOB NOT NULL,
        transactions BLOB NOT NULL,
        leaves BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE segment (
        height INTEGER PRIMARY KEY,
        entries BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE tile (
        level INTEGER NOT NULL,
        position INTEGER NOT NULL,
        hashes BLOB NOT NULL,
        PRIMARY KEY (level, position)
    ) STRICT, WITHOUT ROWID""",
)


class StoredBlock(msgspec.Struct, frozen=True):
    """One block as it lies in the file: signed header, transactions and leaves, a line each."""

    height: int
    time_ms: int
    first_leaf: int
    header: bytes
    transactions: tuple[bytes, ...]
    leaves: tuple[bytes, ...]


class LedgerFile:
    """One connection to the ledger's file; the writer has its own, each reading thread another."""

    def __init__(self, folder: Path, *, is_writer: bool) -> None:
        path = folder / LEDGER_FILE
        self._db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S
        )
        if is_writer:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._create_tables()
        else:
            self._db.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def append(
        self,
        block: StoredBlock,
        *,
        segment: Mapping[bytes, bytes],
        emptied: Sequence[int],
        tiles: Mapping[tuple[int, int], bytes],
    ) -> None:
        """Make a block durable, whole or not at all."""
        with _refusing_full_disk(), self._transaction():
            self._db.execute(
                "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?)",
                (
                    block.height,
                    block.time_ms,
                    block.first_leaf,
                    block.header,
                    b"\n".join(block.transactions),
                    b"\n".join(block.leaves),
                ),
            )
            if segment:
                self._db.execute("INSERT INTO segment VALUES (?, ?)", (block.height, encode_segment(segment)))
            self._db.executemany("DELETE FROM segment WHERE height = ?", [(height,) for height in emptied])
            self._db.executemany(
                "INSERT OR REPLACE INTO tile VALUES (?, ?, ?)",
                [(level, position, hashes) for (level, position), hashes in tiles.items()],
            )

    def write_first_segment(self, entries: Mapping[bytes, bytes]) -> None:
        """Write what the genesis says, once, before there is any block."""
        with _refusing_full_disk(), self._transaction():
            self._db.execute("INSERT INTO segment VALUES (0, ?)", (encode_segment(entries),))

    def read_segment(self, height: int) -> bytes:
        """Return one stored segment."""
        row = self._db.execute("SELECT entries FROM segment WHERE height = ?", (height,)).fetchone()
        return bytes(row[0])

    def load_entries(self) -> tuple[dict[bytes, bytes], SegmentIndex]:
        """Read the whole map and the index of its segments."""
        entries: dict[bytes, bytes] = {}
        index = SegmentIndex()
        for height, blob in self._db.execute("SELECT height, entries FROM segment ORDER BY height"):
            segment = dict(decode_segment(blob))
            entries.update(segment)
            index.add(height, segment)
        return entries, index

    def find_block(self, height: int) -> StoredBlock | None:
        """Return a block, or None."""
        return next(self._read_blocks("WHERE height = ?", (height,)), None)

    def find_last_block(self) -> StoredBlock | None:
        """Return the newest block, or None on a new ledger."""
        return next(self._read_blocks("ORDER BY height DESC LIMIT 1", ()), None)

    def find_block_of_leaf(self, index: int) -> StoredBlock | None:
        """Return the block whose leaves include this one, or None."""
        return next(self._read_blocks("WHERE first_leaf <= ? ORDER BY height DESC LIMIT 1", (index,)), None)

    def read_blocks_since(self, time_ms: int) -> Iterator[StoredBlock]:
        """Read the blocks of a recent stretch, oldest first."""
        return reversed(list(self._read_blocks("WHERE time_ms >= ? ORDER BY height DESC", (time_ms,))))

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read blocks in their order."""
        return self._read_blocks("WHERE height >= ? ORDER BY height", (first_height,))

    def read_tile(self, level: int, position: int) -> bytes:
        """Return the hashes of one tile of the log."""
        row = self._db.execute(
            "SELECT hashes FROM tile WHERE level = ? AND position = ?", (level, position)
        ).fetchone()
        return b"" if row is None else bytes(row[0])

    def read_tiles(self) -> dict[tuple[int, int], bytes]:
        """Return every tile, for a verifier to compare."""
        return {(level, position): bytes(hashes) for level, position, hashes in self._db.execute("SELECT * FROM tile")}

    def read_schema(self) -> tuple[str, ...]:
        """Return the statements that made the file's tables, for a verifier to compare."""
        return tuple(row[0] for row in self._db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"))

    def _read_blocks(self, clause: str, values: tuple[int, ...]) -> Iterator[StoredBlock]:
        for height, time_ms, first_leaf, header, transactions, leaves in self._db.execute(
            f"SELECT height, time_ms, first_leaf, header, transactions, leaves FROM block {clause}", values  # noqa: S608  fixed clauses
        ):
            yield StoredBlock(
                height=height,
                time_ms=time_ms,
                first_leaf=first_leaf,
                header=bytes(header),
                transactions=_split(transactions),
                leaves=_split(leaves),
            )

    def _create_tables(self) -> None:
        if self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            with _refusing_full_disk(), self._transaction():
                for statement in SCHEMA:
                    self._db.execute(statement)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def _refusing_full_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_WRITE):
            raise Refused(Reason.STORAGE_FULL, "the ledger could not be written") from error
        raise


def _split(lines: bytes) -> tuple[bytes, ...]:
    return tuple(bytes(lines).split(b"\n")) if lines else ()
