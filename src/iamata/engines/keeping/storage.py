"""The ledger's file: blocks, the map's segments and the log's tiles, one durable transaction a block."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from iamata.engines.keeping.connecting import connect
from iamata.engines.keeping.faults import refuse_damage, refusing_faults
from iamata.engines.keeping.segments import Segment, SegmentIndex, decode_segment, encode_segment
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.misbehaviour import Misbehaviour

LEDGER_FILE: Final = "ledger.db"

SCHEMA: Final = (
    """CREATE TABLE block (
        height INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        first_leaf INTEGER NOT NULL,
        header BLOB NOT NULL,
        transactions BLOB NOT NULL,
        leaves BLOB NOT NULL,
        groups BLOB NOT NULL,
        misbehaviours BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX block_by_leaf ON block (first_leaf)",
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
_BLOCK_TYPES: Final = (int, int, int, bytes, bytes, bytes, bytes, bytes)


class LedgerFile:
    """One connection to the ledger's file; the writer has its own, each reader borrows another."""

    def __init__(self, folder: Path, *, is_writer: bool) -> None:
        self._db = connect(folder / LEDGER_FILE, is_writer=is_writer)
        try:
            with refusing_faults(LEDGER_FILE):
                self._set_up(is_writer=is_writer)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def append(
        self, block: StoredBlock, *, segment: Segment, tiles: Mapping[tuple[int, int], bytes]
    ) -> None:
        """Make a block durable, whole or not at all.

        A block without leaves changes nothing, and consensus has it too: it is flushed with the next one.
        """
        with self._flushing_late() if not block.leaves else contextlib.nullcontext(), self._transaction():
            self._append_block(block)
            self._append_segment(segment)
            self._append_tiles(tiles)

    def begin_at(
        self, blocks: Sequence[StoredBlock], *, segment: Segment, tiles: Mapping[tuple[int, int], bytes]
    ) -> None:
        """Make durable what a ledger begins with that was not replayed from its genesis, all at once."""
        with self._transaction():
            self._db.execute("DELETE FROM block")
            self._db.execute("DELETE FROM tile")
            for block in blocks:
                self._append_block(block)
            self._db.execute("DELETE FROM segment")
            self._append_segment(segment)
            self._append_tiles(tiles)

    def write_first_segment(self, segment: Segment) -> None:
        """Write what the genesis says, once, before there is any block."""
        with self._transaction():
            self._append_segment(segment)

    def read_segment(self, height: int) -> bytes:
        """Return one stored segment."""
        row = self._find("SELECT entries FROM segment WHERE height = ?", height, place=f"segment {height}")
        if row is None or not isinstance(row[0], bytes):
            refuse_damage(f"segment {height} of the state")
        return row[0]

    def load_entries(self) -> tuple[dict[bytes, bytes], SegmentIndex]:
        """Read the whole map and the index of its segments."""
        entries: dict[bytes, bytes] = {}
        index = SegmentIndex()
        with refusing_faults("the segments of the state"):
            for height, blob in self._db.execute("SELECT height, entries FROM segment ORDER BY height"):
                try:
                    segment = decode_segment(blob)
                except (TypeError, ValueError):
                    refuse_damage(f"segment {height} of the state")
                entries.update(segment)
                index.add(Segment(height, segment))
        return entries, index

    def find_last_block(self) -> StoredBlock | None:
        """Return the newest block, or None on a new ledger."""
        return self._find_block("ORDER BY height DESC LIMIT 1")

    def is_cut_off(self) -> bool:
        """Tell whether the first blocks are missing, because the ledger began with a snapshot."""
        first = self._find_block("ORDER BY height LIMIT 1")
        return first is not None and first.height > 1

    def has_just_begun(self) -> bool:
        """Tell whether nothing was added to what a ledger began with, be that its genesis or a snapshot."""
        last = self.find_last_block()
        if last is None:
            return True
        return self._find("SELECT min(height), max(height) FROM segment", place="the state") == (
            last.height,
            last.height,
        )

    def find_block_of_leaf(self, index: int) -> StoredBlock | None:
        """Return the block whose leaves include this one, or None."""
        # Blocks without leaves begin where the next one does, which therefore is the last of them.
        return self._find_block(
            "WHERE first_leaf <= ? ORDER BY first_leaf DESC, height DESC LIMIT 1", index
        )

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read blocks in their order; no lock is held between two of them."""
        height = first_height
        while (block := self._find_block("WHERE height >= ? ORDER BY height LIMIT 1", height)) is not None:
            yield block
            height = block.height + 1

    def read_blocks_backwards(self) -> Iterator[StoredBlock]:
        """Read blocks from the newest to the oldest."""
        block = self.find_last_block()
        while block is not None:
            yield block
            block = self._find_block("WHERE height < ? ORDER BY height DESC LIMIT 1", block.height)

    def read_tile(self, level: int, position: int) -> bytes:
        """Return the hashes of one tile of the log, none where there is no such tile."""
        row = self._find(
            "SELECT hashes FROM tile WHERE level = ? AND position = ?",
            level,
            position,
            place="a tile of the log",
        )
        return row[0] if row is not None and isinstance(row[0], bytes) else b""

    def read_tiles(self) -> dict[tuple[int, int], bytes]:
        """Return every tile, for a verifier to compare."""
        with refusing_faults("the tiles of the log"):
            rows = self._db.execute("SELECT level, position, hashes FROM tile").fetchall()
        return {(level, position): hashes for level, position, hashes in rows}

    def read_schema(self) -> tuple[str, ...]:
        """Return the statements that made the file's tables, for a verifier to compare."""
        with refusing_faults("the tables"):
            rows = self._db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
            return tuple(row[0] for row in rows)

    def _set_up(self, *, is_writer: bool) -> None:
        if not is_writer:
            self._db.execute("PRAGMA query_only = ON")
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            with self._transaction():
                for statement in SCHEMA:
                    self._db.execute(statement)
        if self.read_schema() != SCHEMA:
            refuse_damage("the tables of the ledger are not those that this version makes")

    def _append_block(self, block: StoredBlock) -> None:
        row = (
            block.height,
            block.time_ms,
            block.first_leaf,
            block.header,
            b"\n".join(block.transactions),
            b"\n".join(block.leaves),
            msgspec.json.encode(block.groups) if block.groups else b"",
            msgspec.json.encode(block.misbehaviours) if block.misbehaviours else b"",
        )
        self._db.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _append_tiles(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO tile VALUES (?, ?, ?)",
            [(level, position, hashes) for (level, position), hashes in tiles.items()],
        )

    def _append_segment(self, segment: Segment) -> None:
        if segment.entries:
            self._db.execute(
                "INSERT INTO segment VALUES (?, ?)", (segment.height, encode_segment(segment.entries))
            )
        self._db.executemany(
            "DELETE FROM segment WHERE height = ?", [(height,) for height in segment.emptied]
        )

    def _find_block(self, clause: str, *values: int) -> StoredBlock | None:
        columns = "height, time_ms, first_leaf, header, transactions, leaves, groups, misbehaviours"
        statement = f"SELECT {columns} FROM block {clause}"  # noqa: S608  fixed clauses
        row = self._find(statement, *values, place="a block")
        if row is None:
            return None
        if tuple(map(type, row)) != _BLOCK_TYPES:
            refuse_damage(f"block {row[0]!r}")
        return _read_block(*row)

    def _find(self, statement: str, *values: int, place: str) -> tuple[Any, ...] | None:
        with refusing_faults(place):
            row: tuple[Any, ...] | None = self._db.execute(statement, values).fetchone()
        return row

    @contextlib.contextmanager
    def _flushing_late(self) -> Iterator[None]:
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with refusing_faults("the ledger could not be written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _read_block(  # noqa: PLR0913, PLR0917  the columns of a row
    height: int,
    time_ms: int,
    first_leaf: int,
    header: bytes,
    transactions: bytes,
    leaves: bytes,
    groups: bytes,
    misbehaviours: bytes,
) -> StoredBlock:
    try:
        return StoredBlock(
            height,
            time_ms,
            first_leaf,
            header,
            _split(transactions),
            _split(leaves),
            _GROUPS.decode(groups) if groups else (),
            _MISBEHAVIOURS.decode(misbehaviours) if misbehaviours else (),
        )
    except (msgspec.DecodeError, UnicodeDecodeError):
        refuse_damage(f"block {height}")


def _split(lines: bytes) -> tuple[bytes, ...]:
    return tuple(lines.split(b"\n")) if lines else ()


_GROUPS: Final = msgspec.json.Decoder(tuple[int, ...])
_MISBEHAVIOURS: Final = msgspec.json.Decoder(tuple[Misbehaviour, ...])
