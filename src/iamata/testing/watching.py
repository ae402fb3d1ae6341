"""Parts that watch and fail on demand: stores that count what is asked of them, an engine that breaks."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from iamata.model.reasons import Reason, Refused
from iamata.ports import Finality, JournalRow, OpeningRow, RecordRow
from iamata.stores.memory.journal import JournalMemory
from iamata.stores.memory.keys import WrappedKeyMemory
from iamata.stores.memory.openings import OpeningMemory
from iamata.stores.memory.records import RecordMemory
from iamata.testing.engine import MemoryEngine
from iamata.vault.custody import MemberStores


class WatchedRecords(RecordMemory):
    """Records that count how often a row or a body leaves the store."""

    def __init__(self) -> None:
        super().__init__()
        self.rows_read = 0
        self.bodies_read = 0

    def find_newest(self, lookup: bytes, patient: str) -> RecordRow | None:
        """Return a patient's row of a record's newest version, or None."""
        self.rows_read += 1
        return super().find_newest(lookup, patient)

    def find_version(self, lookup: bytes, version: int, patient: str) -> RecordRow | None:
        """Return a patient's row of one version of a record, or None."""
        self.rows_read += 1
        return super().find_version(lookup, version, patient)

    def read_of_patient(self, patient: str) -> Iterator[RecordRow]:
        """Read every version of a patient's records in order."""
        self.rows_read += 1
        return super().read_of_patient(patient)

    def read_body(self, sequence: int) -> bytes:
        """Return the sealed body of a row that is there."""
        self.bodies_read += 1
        return super().read_body(sequence)


class WatchedJournal(JournalMemory):
    """A journal that counts what it was given, and is full on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.appended = 0
        self.is_full = False

    def append(self, rows: Sequence[JournalRow], *, head: bytes) -> None:
        """Make entries part of the journal, all or none."""
        if self.is_full:
            raise Refused(Reason.STORAGE_FULL, "the journal")
        self.appended += len(rows)
        super().append(rows, head=head)


class WatchedOpenings(OpeningMemory):
    """Openings that count what they were given."""

    def __init__(self) -> None:
        super().__init__()
        self.added = 0

    def add(self, rows: Sequence[OpeningRow], *, head: bytes) -> None:
        """Make openings part of the store, all or none."""
        self.added += len(rows)
        super().add(rows, head=head)


class WatchedStores(MemberStores):
    """A member's stores, all watched."""

    records: WatchedRecords
    journal: WatchedJournal
    openings: WatchedOpenings

    @classmethod
    def make(cls) -> "WatchedStores":
        """Make them empty."""
        return cls(
            records=WatchedRecords(),
            keys=WrappedKeyMemory(),
            journal=WatchedJournal(),
            openings=WatchedOpenings(),
        )

    def count(self) -> tuple[int, int, int, int]:
        """Tell rows and bodies read, journal entries and openings written."""
        return self.records.rows_read, self.records.bodies_read, self.journal.appended, self.openings.added


class BrittleEngine(MemoryEngine):
    """An engine in memory that stops on demand, before it takes a transaction in or after."""

    stops_before = False
    stops_after = False

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Admit one transaction and make a block of it, unless told to stop."""
        future: Future[Finality] = Future()
        future.set_exception(Refused(Reason.ENGINE_STOPPED))
        if self.stops_before:
            return future
        done = super().submit(raw)
        return future if self.stops_after else done
