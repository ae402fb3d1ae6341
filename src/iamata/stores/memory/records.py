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
        self._versions: dict[tuple[bytes, int], int] = {}
        self._newest: dict[bytes, int] = {}
        self._tokens: dict[tuple[int, bytes], None] = {}

    def add(
        self, rows: Sequence[tuple[RecordRow, bytes]], tokens: Sequence[tuple[bytes, int]], *, head: bytes
    ) -> None:
        """Add rows with their bodies, and identifiers' tokens with their rows: all or nothing."""
        with self.lock:
            refuse_known(self._rows, [row.sequence for row, _ in rows])
            refuse_known(self._versions, [(row.lookup, row.version) for row, _ in rows])
            refuse_known(self._tokens, [(sequence, token) for token, sequence in tokens])
            for row, body in rows:
                self._rows[row.sequence] = (row, body)
                self._versions[row.lookup, row.version] = row.sequence
                self._newest[row.lookup] = max(row.version, self._newest.get(row.lookup, 0))
                self.commitments[row.sequence] = row.commitment
            self._tokens.update({(sequence, token): None for token, sequence in tokens})
            self.head = head

    def find_newest(self, lookup: bytes) -> RecordRow | None:
        """Return the newest version of a record, or None."""
        return self.find_version(lookup, self._newest.get(lookup, 0))

    def read_known(self, lookups: Sequence[bytes]) -> dict[bytes, KnownRecord]:
        """Return owner, newest version and all fingerprints of each record that is there."""
        newest = [row for lookup in lookups if (row := self.find_newest(lookup)) is not None]
        return {row.lookup: self._describe(row) for row in newest}

    def _describe(self, newest: RecordRow) -> KnownRecord:
        versions = [self.find_version(newest.lookup, number + 1) for number in range(newest.version)]
        prints = tuple(row.fingerprint for row in versions if row is not None)
        return KnownRecord(newest.patient, newest.version, prints)

    def find_version(self, lookup: bytes, version: int) -> RecordRow | None:
        """Return one version of a record, or None."""
        sequence = self._versions.get((lookup, version))
        return None if sequence is None else self._rows[sequence][0]

    def find_by_token(self, token: bytes) -> list[RecordRow]:
        """Return the records whose newest version carries an identifier."""
        rows = [self._rows[sequence][0] for sequence, known in sorted(self._tokens) if known == token]
        return [row for row in rows if row == self.find_newest(row.lookup)]

    def read_body(self, sequence: int) -> bytes:
        """Return the sealed body of a row that is there."""
        if sequence not in self._rows:
            raise Refused(Reason.HOME_CORRUPT, f"record row {sequence} has gone")
        return self._rows[sequence][1]

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
                del self._rows[row.sequence], self._versions[row.lookup, row.version]
                if self.find_anchor(row.sequence) is None:
                    del self.commitments[row.sequence]
            self._tokens = {key: None for key in self._tokens if key[0] in self._rows}
            self._newest = dict(sorted(self._versions))
            self.head = head
