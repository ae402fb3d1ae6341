"""Openings in memory."""

from collections.abc import Iterator, Sequence

from iamata.ports import OpeningRow
from iamata.stores.memory.tables import HeadedMemory, refuse_known


class OpeningMemory(HeadedMemory):
    """Openings by name."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, OpeningRow] = {}

    def add(self, rows: Sequence[OpeningRow], *, head: bytes) -> None:
        """Make openings part of the store, all or none."""
        with self.lock:
            refuse_known(self._rows, [row.name for row in rows])
            self._rows.update({row.name: row for row in rows})
            self.head = head

    def find(self, name: str) -> OpeningRow | None:
        """Return an opening, or None."""
        return self._rows.get(name)

    def read_of_patient(self, patient: str) -> Iterator[OpeningRow]:
        """Read the openings about a patient."""
        return (row for row in self.read_all() if row.patient == patient)

    def read_all(self) -> Iterator[OpeningRow]:
        """Read every opening."""
        return iter([self._rows[name] for name in sorted(self._rows)])

    def erase(self, patient: str, *, head: bytes) -> None:
        """Remove the openings about a patient."""
        with self.lock:
            self._rows = {name: row for name, row in self._rows.items() if row.patient != patient}
            self.head = head
