"""The file of sealed records: vault/records.db."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from iamata.model.reasons import Reason, Refused, require
from iamata.ports import KnownRecord, RecordRow, SequencedCommitment
from iamata.stores.sqlite.database import Database, Schema
from iamata.stores.sqlite.tables import ANCHOR_TABLE, HEAD_TABLE, AnchoredFile, put_head

RECORDS_FILE: Final = "records.db"
LOOKUPS_PER_QUERY: Final = 256

SCHEMA: Final = Schema(
    version=2,
    statements=(
        HEAD_TABLE,
        ANCHOR_TABLE,
        """CREATE TABLE record (
    sequence INTEGER PRIMARY KEY,
    patient TEXT NOT NULL,
    lookup BLOB NOT NULL,
    version INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    commitment BLOB NOT NULL,
    facts BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT""",
        "CREATE UNIQUE INDEX record_version ON record (lookup, version, patient)",
        "CREATE INDEX record_patient ON record (patient)",
        "CREATE INDEX record_commitment ON record (sequence, commitment)",
        """CREATE TABLE erased (
    sequence INTEGER PRIMARY KEY,
    commitment BLOB NOT NULL
) STRICT""",
        """CREATE TABLE token (
    token BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (token, sequence)
) STRICT, WITHOUT ROWID""",
        "CREATE INDEX token_sequence ON token (sequence)",
    ),
)

_ROW: Final = "sequence, patient, lookup, version, fingerprint, commitment, facts"
_COMMITMENTS: Final = """
    SELECT sequence, commitment FROM record WHERE sequence > :after AND sequence <= :last
    UNION ALL
    SELECT sequence, commitment FROM erased WHERE sequence > :after AND sequence <= :last
    ORDER BY sequence"""
_BY_TOKEN: Final = f"""
    SELECT {_ROW} FROM record AS this WHERE
    sequence IN (SELECT sequence FROM token WHERE token = ?)
    AND version = (SELECT max(version) FROM record WHERE lookup = this.lookup)
    ORDER BY sequence"""  # noqa: S608  fixed columns


class RecordFile(AnchoredFile):
    """Sealed records in SQLite, found by keyed hashes only."""

    def __init__(self, folder: Path) -> None:
        database = Database(folder / RECORDS_FILE, SCHEMA, keeps_journal=True)
        super().__init__(database, commitments=_COMMITMENTS)

    def add(
        self, rows: Sequence[tuple[RecordRow, bytes]], tokens: Sequence[tuple[bytes, int]], *, head: bytes
    ) -> None:
        """Make rows with their bodies, and identifiers' tokens with their rows, durable: all or nothing."""
        with self.database.writing() as connection:
            connection.executemany(
                f"INSERT INTO record ({_ROW}, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  fixed columns
                [
                    (
                        row.sequence,
                        row.patient,
                        row.lookup,
                        row.version,
                        row.fingerprint,
                        row.commitment,
                        row.facts,
                        body,
                    )
                    for row, body in rows
                ],
            )
            connection.executemany("INSERT INTO token (token, sequence) VALUES (?, ?)", tokens)
            put_head(connection, head)

    def find_newest(self, lookup: bytes, patient: str) -> RecordRow | None:
        """Return a patient's row of a record's newest version, or None."""
        query = f"SELECT {_ROW} FROM record WHERE lookup = ? AND patient = ? ORDER BY version DESC LIMIT 1"  # noqa: S608  as above
        return self.database.find(query, (lookup, patient), RecordRow)

    def read_known(self, lookups: Sequence[bytes]) -> dict[bytes, KnownRecord]:
        """Return owners, newest version and all fingerprints of each record that is there."""
        found: dict[bytes, KnownRecord] = {}
        for start in range(0, len(lookups), LOOKUPS_PER_QUERY):
            wanted = tuple(lookups[start : start + LOOKUPS_PER_QUERY])
            marks = ",".join("?" * len(wanted))
            query = f"""SELECT lookup, patient, version, fingerprint FROM record
                WHERE lookup IN ({marks}) ORDER BY lookup, version, patient"""  # noqa: S608  marks only
            rows = self.database.read(query, wanted, tuple[bytes, str, int, bytes])
            for lookup, patient, version, fingerprint in rows:
                found[lookup] = _add_version(found.get(lookup), patient, version, fingerprint)
        return found

    def find_version(self, lookup: bytes, version: int, patient: str) -> RecordRow | None:
        """Return a patient's row of one version of a record, or None."""
        query = f"SELECT {_ROW} FROM record WHERE lookup = ? AND version = ? AND patient = ?"  # noqa: S608  as above
        return self.database.find(query, (lookup, version, patient), RecordRow)

    def find_by_token(self, token: bytes) -> list[RecordRow]:
        """Return the rows of records whose newest version carries an identifier."""
        return list(self.database.read(_BY_TOKEN, (token,), RecordRow))

    def read_body(self, sequence: int) -> bytes:
        """Return the sealed body of a row that is there."""
        row = self.database.find("SELECT body FROM record WHERE sequence = ?", (sequence,), tuple[bytes])
        if row is None:
            raise Refused(Reason.HOME_CORRUPT, f"record row {sequence} has gone")
        return row[0]

    def read_bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """Return the sealed bodies of rows that are there, by row."""
        bodies: dict[int, bytes] = {}
        for start in range(0, len(sequences), LOOKUPS_PER_QUERY):
            wanted = tuple(sequences[start : start + LOOKUPS_PER_QUERY])
            marks = ",".join("?" * len(wanted))
            query = f"SELECT sequence, body FROM record WHERE sequence IN ({marks})"  # noqa: S608  marks only
            bodies.update(self.database.read(query, wanted, tuple[int, bytes]))
        for sequence in sequences:
            require(sequence in bodies, Reason.HOME_CORRUPT, f"record row {sequence} has gone")
        return bodies

    def read_of_patient(self, patient: str) -> Iterator[RecordRow]:
        """Read every version of a patient's records in order."""
        query = f"SELECT {_ROW} FROM record WHERE patient = ? ORDER BY sequence"  # noqa: S608  as above
        return self.database.read(query, (patient,), RecordRow)

    def read_all(self) -> Iterator[tuple[RecordRow, bytes]]:
        """Read every row with its body in order."""
        query = f"SELECT {_ROW}, body FROM record ORDER BY sequence"  # noqa: S608  as above
        for row in self.database.read(query, (), tuple[int, str, bytes, int, bytes, bytes, bytes, bytes]):
            yield RecordRow(*row[:-1]), row[-1]

    def read_tokens(self) -> Iterator[tuple[bytes, int]]:
        """Read every identifier's token, by row."""
        return self.database.read(
            "SELECT token, sequence FROM token ORDER BY sequence, token", (), tuple[bytes, int]
        )

    def read_erased(self) -> Iterator[SequencedCommitment]:
        """Read the commitments that stay behind because anchors are built on them."""
        query = "SELECT sequence, commitment FROM erased ORDER BY sequence"
        return self.database.read(query, (), SequencedCommitment)

    def erase(self, patient: str, *, head: bytes) -> None:
        """Remove a patient's rows and tokens; keep the commitments that anchors need."""
        with self.database.writing() as connection:
            connection.execute(
                """INSERT INTO erased (sequence, commitment) SELECT sequence, commitment FROM record
                WHERE patient = ? AND sequence <= (SELECT max(last) FROM anchor)""",
                (patient,),
            )
            connection.execute(
                "DELETE FROM token WHERE sequence IN (SELECT sequence FROM record WHERE patient = ?)",
                (patient,),
            )
            connection.execute("DELETE FROM record WHERE patient = ?", (patient,))
            put_head(connection, head)
        self.database.truncate_journal()


def _add_version(known: KnownRecord | None, patient: str, version: int, fingerprint: bytes) -> KnownRecord:
    """Add a row to what is known of its record, where it brings another version or another patient."""
    if known is None:
        return KnownRecord((patient,), version, (fingerprint,))
    patients = known.patients if patient in known.patients else (*known.patients, patient)
    prints = known.fingerprints if version == known.version else (*known.fingerprints, fingerprint)
    return KnownRecord(patients, version, prints)
