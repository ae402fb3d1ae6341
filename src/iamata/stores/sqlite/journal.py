"""The file of the journal: journal/journal.db. Appended only."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from iamata.model.ids import AccessId
from iamata.ports import JournalRow
from iamata.stores.sqlite.database import Database, Schema
from iamata.stores.sqlite.tables import ANCHOR_TABLE, HEAD_TABLE, AnchoredFile, put_head

JOURNAL_FILE: Final = "journal.db"

SCHEMA: Final = Schema(
    version=2,
    statements=(
        HEAD_TABLE,
        ANCHOR_TABLE,
        """CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    patient TEXT NOT NULL,
    id TEXT NOT NULL,
    commitment BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT""",
        "CREATE INDEX entry_patient ON entry (patient)",
        "CREATE INDEX entry_id ON entry (id)",
        "CREATE INDEX entry_late ON entry (sequence) WHERE kind = 'late'",
    ),
)

_ROW: Final = "sequence, kind, patient, id, commitment, sealed"
_COMMITMENTS: Final = """
    SELECT sequence, commitment FROM entry
    WHERE sequence > :after AND sequence <= :last ORDER BY sequence"""


class JournalFile(AnchoredFile):
    """The journal in SQLite."""

    def __init__(self, folder: Path) -> None:
        database = Database(folder / JOURNAL_FILE, SCHEMA, keeps_journal=True)
        super().__init__(database, commitments=_COMMITMENTS)

    def append(self, rows: Sequence[JournalRow], *, head: bytes) -> None:
        """Make entries durable, all or none."""
        with self.database.writing() as connection:
            connection.executemany(
                f"INSERT INTO entry ({_ROW}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  fixed columns
                [(row.sequence, row.kind, row.patient, row.id, row.commitment, row.sealed) for row in rows],
            )
            put_head(connection, head)

    def find(self, entry_id: AccessId) -> list[JournalRow]:
        """Return the entries about one access, in order."""
        query = f"SELECT {_ROW} FROM entry WHERE id = ? ORDER BY sequence"  # noqa: S608  fixed columns
        return list(self.database.read(query, (entry_id,), JournalRow))

    def read_of_patient(self, patient: str) -> Iterator[JournalRow]:
        """Read the entries about a patient in order."""
        query = f"SELECT {_ROW} FROM entry WHERE patient = ? ORDER BY sequence"  # noqa: S608  fixed columns
        return self.database.read(query, (patient,), JournalRow)

    def read_late(self) -> Iterator[JournalRow]:
        """Read the entries of the kind `late` in order, without looking at the others."""
        query = f"SELECT {_ROW} FROM entry WHERE kind = 'late' ORDER BY sequence"  # noqa: S608  fixed columns
        return self.database.read(query, (), JournalRow)

    def read_all(self) -> Iterator[JournalRow]:
        """Read every entry in order."""
        return self.database.read(f"SELECT {_ROW} FROM entry ORDER BY sequence", (), JournalRow)  # noqa: S608  as above
