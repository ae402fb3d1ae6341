"""What several stores in memory have alike: the head, and the anchors over stretches of rows."""

import threading
from collections.abc import Container, Iterator, Sequence

from iamata.model.reasons import Reason, require
from iamata.ports import Anchor, SequencedCommitment


class HeadedMemory:
    """A head, and the lock under which everything changes together."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.head: bytes | None = None

    def read_head(self) -> bytes | None:
        """Return the newest head, None in a store that was never written."""
        return self.head

    def close(self) -> None:
        """Do nothing: memory needs no closing."""


class AnchoredMemory(HeadedMemory):
    """Commitments by sequence number, in ascending order, and anchors over stretches of them."""

    def __init__(self) -> None:
        super().__init__()
        self.commitments: dict[int, bytes] = {}
        self._anchors: list[Anchor] = []

    def read_commitments(self, *, after: int, last: int) -> Iterator[SequencedCommitment]:
        """Read the commitments of a stretch in order, of what was erased since too."""
        stretch = [number for number in sorted(self.commitments) if after < number <= last]
        return iter([SequencedCommitment(number, self.commitments[number]) for number in stretch])

    def add_anchor(self, anchor: Anchor, *, head: bytes) -> None:
        """Write down which stretch an anchor covers, before the ledger hears of it."""
        with self.lock:
            is_new = all((anchor.id, anchor.last) != (old.id, old.last) for old in self._anchors)
            refuse_overwriting(is_new=is_new)
            self._anchors.append(anchor)
            self.head = head

    def write_head(self, head: bytes) -> None:
        """Replace the head."""
        self.head = head

    def find_anchor(self, sequence: int) -> Anchor | None:
        """Return the anchor that covers a row, or None."""
        return next(self.read_anchors(after=sequence - 1), None)

    def read_anchors(self, *, after: int = 0) -> Iterator[Anchor]:
        """Read the anchors of what comes after a row, oldest first."""
        return iter([anchor for anchor in self._anchors if anchor.last > after])


def refuse_overwriting(*, is_new: bool) -> None:
    """Refuse what a unique key refuses in a file: the only writer never makes the same row twice."""
    require(is_new, Reason.HOME_CORRUPT, "a row is there already")


def refuse_known(known: Container[object], keys: Sequence[object]) -> None:
    """Refuse keys that are taken, or given twice."""
    refuse_overwriting(is_new=len(set(keys)) == len(keys) and not any(key in known for key in keys))
