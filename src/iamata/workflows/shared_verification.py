"""Hold what left of several patients against what the journal tells each of them."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from iamata.ledger.tables import CONSENTS
from iamata.model.ids import AccessId, MemberId, PersonId
from iamata.vault.journal import JournalKind, OpenedEntry
from iamata.vault.opening import ListedRecord
from iamata.workflows.disclosure_verification import expect
from iamata.workflows.messages import Planned, ReadDetails, read_details
from iamata.workflows.replayed import Replayed

Trace: TypeAlias = tuple[str, MemberId, PersonId, str, str]
"""Whose record it is too, who got it, the person, the purpose, and the record."""


class SharedTraces:
    """The traces that one member's journal owes, and those that it holds."""

    def __init__(self) -> None:
        self._planned: dict[AccessId, list[Trace]] = {}
        self._owed: dict[Trace, None] = {}
        self._held: dict[Trace, None] = {}

    def take_plan(self, planned: Planned, listed: Sequence[ListedRecord]) -> None:
        """Note which other patients must be told when a disclosure leaves."""
        details = planned.details
        traces: list[Trace] = [
            (other, details.recipient, details.person, details.purpose, one.facts.record)
            for one in listed
            for other in one.others
        ]
        if traces:
            self._planned[details.access] = traces

    def take_entry(self, entry: OpenedEntry, ledger: Replayed) -> None:
        """Note that a disclosure left, or that another patient was told, and on a consent of their own."""
        if entry.header.kind is JournalKind.RELEASE:
            self._owed |= dict.fromkeys(self._planned.get(entry.header.id, ()))
        elif entry.header.kind is JournalKind.READ and b'"recipient"' in entry.payload:
            details = read_details(entry.payload, ReadDetails)
            if details.recipient is not msgspec.UNSET:
                self._take_trace(entry, details, details.recipient, ledger)

    def _take_trace(
        self, entry: OpenedEntry, details: ReadDetails, recipient: MemberId, ledger: Replayed
    ) -> None:
        kind, _, name = details.basis.partition("/")
        consent = CONSENTS.find(ledger.state.entries, name) if kind == "consent" else None
        is_own = kind != "consent" or (consent is not None and consent.patient == entry.header.patient)
        expect(is_own, f"journal entry {entry.header.sequence}: its consent is not the patient's")
        for record in details.records:
            trace = (entry.header.patient, recipient, details.person, details.purpose, record)
            self._held[trace] = None

    def compare(self) -> None:
        """Refuse where a patient was not told that a record of theirs left with another patient's."""
        silent = [trace[0] for trace in self._owed if trace not in self._held]
        expect(not silent, f"the journal is silent to {', '.join(silent)} about what left")
