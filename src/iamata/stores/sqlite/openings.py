"""The file of openings: vault/openings.db."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from iamata.ports import OpeningRow
from iamata.stores.sqlite.database import Database, Schema
from iamata.stores.sqlite.tables import HEAD_TABLE, HeadedFile, put_head

OPENINGS_FILE: Final = "openings.db"

SCHEMA: Final = Schema(
    version=1,
    statements=(
        HEAD_TABLE,
        """CREATE TABLE opening (
    name TEXT PRIMARY KEY,
    patient TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT""",
        "CREATE INDEX opening_patient ON opening (patient)",
    ),
)


class OpeningFile(HeadedFile):
    """Openings in SQLite."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Database(folder / OPENINGS_FILE, SCHEMA, keeps_journal=True))

    def add(self, rows: Sequence[OpeningRow], *, head: bytes) -> None:
        """Make openings durable, all or none."""
        with self.database.writing() as connection:
            connection.executemany(
                "INSERT INTO opening (name, patient, sealed) VALUES (?, ?, ?)",
                [(row.name, row.patient, row.sealed) for row in rows],
            )
            put_head(connection, head)

    def find(self, name: str) -> OpeningRow | None:
        """Return an opening, or None."""
        return self.database.find(
            "SELECT name, patient, sealed FROM opening WHERE name = ?", (name,), OpeningRow
        )

    def read_of_patient(self, patient: str) -> Iterator[OpeningRow]:
        """Read the openings about a patient."""
        query = "SELECT name, patient, sealed FROM opening WHERE patient = ? ORDER BY name"
        return self.database.read(query, (patient,), OpeningRow)

    def read_all(self) -> Iterator[OpeningRow]:
        """Read every opening."""
        return self.database.read("SELECT name, patient, sealed FROM opening ORDER BY name", (), OpeningRow)

    def erase(self, patient: str, *, head: bytes) -> None:
        """Remove the openings about a patient."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM opening WHERE patient = ?", (patient,))
            put_head(connection, head)
        self.database.truncate_journal()
