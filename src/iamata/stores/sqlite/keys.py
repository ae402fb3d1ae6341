"""The file of wrapped data keys: keys/wrapped.db. It must never hold a key that was destroyed.

Deleted rows are overwritten with zeros, and there is no write-ahead log: the rollback journal in which
SQLite saves a page before it changes it is cut to nothing when the change is durable.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from iamata.stores.sqlite.database import Database, Schema
from iamata.stores.sqlite.tables import HEAD_TABLE, HeadedFile, put_head

KEYS_FILE: Final = "wrapped.db"

SCHEMA: Final = Schema(
    version=1,
    statements=(
        HEAD_TABLE,
        """CREATE TABLE wrapped_key (
    patient TEXT PRIMARY KEY,
    content BLOB NOT NULL
) STRICT""",
    ),
)


class WrappedKeyFile(HeadedFile):
    """Wrapped data keys in SQLite."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Database(folder / KEYS_FILE, SCHEMA, keeps_journal=False))

    def add(self, keys: Mapping[str, bytes], *, head: bytes) -> None:
        """Make new wrapped keys durable, all or none."""
        with self.database.writing() as connection:
            connection.executemany("INSERT INTO wrapped_key (patient, content) VALUES (?, ?)", keys.items())
            put_head(connection, head)

    def find(self, patient: str) -> bytes | None:
        """Return a patient's wrapped key, or None."""
        row = self.database.find(
            "SELECT content FROM wrapped_key WHERE patient = ?", (patient,), tuple[bytes]
        )
        return None if row is None else row[0]

    def erase(self, patient: str, *, head: bytes) -> None:
        """Destroy a patient's wrapped key."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM wrapped_key WHERE patient = ?", (patient,))
            put_head(connection, head)

    def read_all(self) -> Iterator[tuple[str, bytes]]:
        """Read every wrapped key with its patient."""
        # At once: the one connection stays locked while somebody reads.
        return iter(
            list(
                self.database.read(
                    "SELECT patient, content FROM wrapped_key ORDER BY patient", (), tuple[str, bytes]
                )
            )
        )
