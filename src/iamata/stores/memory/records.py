"""Sealed records in memory."""

from collections.abc import Iterator, Sequence

from iamata.model.reasons import Reason, Refused
from iamata.ports import KnownRecord, RecordRow, SequencedCommitment
from iamata.stores.memory.tables import AnchoredMemory, refuse_known


class RecordMemory(AnchoredMemory):
    """Sealed records in memory, found by keyed hashes only."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[int, tuple[RecordRow, bytes]] = {}
        self._versions: dict[tuple[bytes, int, str], int] = {}
        self._of_record: dict[bytes, tuple[int, ...]] = {}
        """The rows of each record, in order."""
        self._tokens: dict[tuple[int, bytes], None] = {}

    def add(
        self, rows: Sequence[tuple[RecordRow, bytes]], tokens: Sequence[tuple[bytes, int]], *, head: bytes
    ) -> None:
        """Add rows with their bodies, and identifiers' tokens with their rows: all or nothing."""
        with self.lock:
            refuse_known(self._rows, [row.sequence for row, _ in rows])
            refuse_known(self._versions, [(row.lookup, row.version, row.patient) for row, _ in rows])
            refuse_known(self._tokens, [(sequence, token) for token, sequence in tokens])
            for row, body in rows:
                self._rows[row.sequence] = (row, body)
                self._versions[row.lookup, row.version, row.patient] = row.sequence
                self._of_record[row.lookup] = (*self._of_record.get(row.lookup, ()), row.sequence)
                self.commitments[row.sequence] = row.commitment
            self._tokens.update({(sequence, token): None for token, sequence in tokens})
            self.head = head

    def find_newest(self, lookup: bytes, patient: str) -> RecordRow | None:
        """Return a patient's row of a record's newest version, or None."""
        rows = [row for row in self._list_rows(lookup) if row.patient == patient]
        return max(rows, key=lambda row: row.version, default=None)

    def read_known(self, lookups: Sequence[bytes]) -> dict[bytes, KnownRecord]:
        """Return owners, newest version and all fingerprints of each record that is there."""
        return {lookup: _describe(rows) for lookup in lookups if (rows := self._list_rows(lookup))}

    def _list_rows(self, lookup: bytes) -> list[RecordRow]:
        return [self._rows[sequence][0] for sequence in self._of_record.get(lookup, ())]

    def find_version(self, lookup: bytes, version: int, patient: str) -> RecordRow | None:
        """Return a patient's row of one version of a record, or None."""
        sequence = self._versions.get((lookup, version, patient))
        return None if sequence is None else self._rows[sequence][0]

    def find_by_token(self, token: bytes) -> list[RecordRow]:
        """Return the rows of records whose newest version carries an identifier."""
        rows = [self._rows[sequence][0] for sequence, known in sorted(self._tokens) if known == token]
        return [row for row in rows if row.version == _describe(self._list_rows(row.lookup)).version]

    def read_body(self, sequence: int) -> bytes:
        """Return the sealed body of a row that is there."""
        if sequence not in self._rows:
            raise Refused(Reason.HOME_CORRUPT, f"record row {sequence} has gone")
        return self._rows[sequence][1]

    def read_bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """Return the sealed bodies of rows that are there, by row."""
        return {sequence: self.read_body(sequence) for sequence in sequences}

    def read_of_patient(self, patient: str) -> Iterator[RecordRow]:
        """Read every version of a patient's records in order."""
        return (row for row, _ in self.read_all() if row.patient == patient)

    def read_all(self) -> Iterator[tuple[RecordRow, bytes]]:
        """Read every row with its body in order."""
        return iter([self._rows[sequence] for sequence in sorted(self._rows)])

    def read_tokens(self) -> Iterator[tuple[bytes, int]]:
        """Read every identifier's token, by row."""
        return iter([(token, sequence) for sequence, token in sorted(self._tokens)])

    def read_erased(self) -> Iterator[SequencedCommitment]:
        """Read the commitments that stay behind because anchors are built on them."""
        gone = [sequence for sequence in sorted(self.commitments) if sequence not in self._rows]
        return iter([SequencedCommitment(sequence, self.commitments[sequence]) for sequence in gone])

    def erase(self, patient: str, *, head: bytes) -> None:
        """Remove a patient's rows and tokens; keep the commitments that anchors need."""
        with self.lock:
            for row in list(self.read_of_patient(patient)):
                del self._rows[row.sequence], self._versions[row.lookup, row.version, row.patient]
                left = (number for number in self._of_record[row.lookup] if number != row.sequence)
                self._of_record[row.lookup] = tuple(left)
                if self.find_anchor(row.sequence) is None:
                    del self.commitments[row.sequence]
            self._tokens = {key: None for key in self._tokens if key[0] in self._rows}
            self.head = head


def _describe(rows: Sequence[RecordRow]) -> KnownRecord:
    patients = tuple(sorted({row.patient for row in rows}))
    prints = {row.version: row.fingerprint for row in sorted(rows, key=lambda row: row.version)}
    return KnownRecord(patients, max(prints), tuple(prints.values()))
