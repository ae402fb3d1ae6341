"""What several stores have alike: the head, and the anchors over stretches of rows."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from iamata.ports import Anchor, SequencedCommitment
from iamata.stores.sqlite.database import Database

HEAD_TABLE: Final = """CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    content BLOB NOT NULL
) STRICT"""

ANCHOR_TABLE: Final = """CREATE TABLE anchor (
    id TEXT NOT NULL UNIQUE,
    after INTEGER NOT NULL,
    last INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    count INTEGER NOT NULL
) STRICT"""


class HeadedFile:
    """A file with a head, which changes in the same transaction as the rest."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def read_head(self) -> bytes | None:
        """Return the newest head, None in a store that was never written."""
        row = self.database.find("SELECT content FROM head", (), tuple[bytes])
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the file."""
        self.database.close()


class AnchoredFile(HeadedFile):
    """A file whose rows are committed to on the ledger; `commitments` is the query that lists them."""

    def __init__(self, database: Database, *, commitments: str) -> None:
        super().__init__(database)
        self._commitments = commitments

    def read_commitments(self, *, after: int, last: int) -> Iterator[SequencedCommitment]:
        """Read the commitments of a stretch in order, of what was erased since too."""
        return self.database.read(self._commitments, {"after": after, "last": last}, SequencedCommitment)

    def add_anchor(self, anchor: Anchor, *, head: bytes) -> None:
        """Write down which stretch an anchor covers, before the ledger hears of it."""
        with self.database.writing() as connection:
            connection.execute(
                "INSERT INTO anchor (id, after, last, root, count) VALUES (?, ?, ?, ?, ?)",
                (anchor.id, anchor.after, anchor.last, anchor.root, anchor.count),
            )
            put_head(connection, head)

    def write_head(self, head: bytes) -> None:
        """Replace the head."""
        with self.database.writing() as connection:
            put_head(connection, head)

    def find_anchor(self, sequence: int) -> Anchor | None:
        """Return the anchor that covers a row, or None."""
        query = "SELECT id, after, last, root, count FROM anchor WHERE last >= ? ORDER BY last LIMIT 1"
        return self.database.find(query, (sequence,), Anchor)

    def read_anchors(self, *, after: int = 0) -> Iterator[Anchor]:
        """Read the anchors of what comes after a row, oldest first."""
        query = "SELECT id, after, last, root, count FROM anchor WHERE last > ? ORDER BY last"
        return self.database.read(query, (after,), Anchor)


def put_head(connection: sqlite3.Connection, head: bytes) -> None:
    """Replace the head inside a running transaction."""
    connection.execute("INSERT OR REPLACE INTO head (id, content) VALUES (1, ?)", (head,))
