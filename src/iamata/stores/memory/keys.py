"""Wrapped data keys in memory."""

from collections.abc import Iterator, Mapping

from iamata.stores.memory.tables import HeadedMemory, refuse_known


class WrappedKeyMemory(HeadedMemory):
    """Wrapped data keys by patient."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[str, bytes] = {}

    def add(self, keys: Mapping[str, bytes], *, head: bytes) -> None:
        """Make new wrapped keys part of the store, all or none."""
        with self.lock:
            refuse_known(self._keys, list(keys))
            self._keys.update(keys)
            self.head = head

    def find(self, patient: str) -> bytes | None:
        """Return a patient's wrapped key, or None."""
        return self._keys.get(patient)

    def erase(self, patient: str, *, head: bytes) -> None:
        """Destroy a patient's wrapped key."""
        with self.lock:
            self._keys.pop(patient, None)
            self.head = head

    def read_all(self) -> Iterator[tuple[str, bytes]]:
        """Read every wrapped key with its patient."""
        return iter(sorted(self._keys.items()))
