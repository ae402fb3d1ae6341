"""The journal in memory."""

from collections.abc import Iterator, Sequence

from iamata.model.ids import AccessId
from iamata.ports import JournalRow
from iamata.stores.memory.tables import AnchoredMemory, refuse_known


class JournalMemory(AnchoredMemory):
    """Entries by sequence number."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[int, JournalRow] = {}

    def append(self, rows: Sequence[JournalRow], *, head: bytes) -> None:
        """Make entries part of the journal, all or none."""
        with self.lock:
            refuse_known(self._rows, [row.sequence for row in rows])
            for row in rows:
                self._rows[row.sequence] = row
                self.commitments[row.sequence] = row.commitment
            self.head = head

    def find(self, entry_id: AccessId) -> list[JournalRow]:
        """Return the entries about one access, in order."""
        return [row for row in self.read_all() if row.id == entry_id]

    def read_of_patient(self, patient: str) -> Iterator[JournalRow]:
        """Read the entries about a patient in order."""
        return (row for row in self.read_all() if row.patient == patient)

    def read_late(self) -> Iterator[JournalRow]:
        """Read the entries of the kind `late` in order."""
        return (row for row in self.read_all() if row.kind == "late")

    def read_all(self) -> Iterator[JournalRow]:
        """Read every entry in order."""
        return iter([self._rows[sequence] for sequence in sorted(self._rows)])
