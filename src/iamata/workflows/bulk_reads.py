"""Staff reads one type of record of all patients: decided for each, journalled, and only then opened.

It is many reads, not another kind of read: each patient sees it in the journal, with the records that were
shown and why. Whoever does not permit it is left out, and nothing tells who that was.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from iamata.consent.permits import Permit
from iamata.ledger.tables import PERSONS
from iamata.model.ids import PatientId, PersonId
from iamata.model.reasons import Reason, Refused
from iamata.ports import NO_PATIENT, LedgerView
from iamata.vault.bulk_opening import FoundRow, RowsToOpen, find_rows, take_out
from iamata.vault.journal import JournalEntry, append_entries
from iamata.vault.opening import ListedRecord
from iamata.workflows.deciding import Reading, decide_read, write_entries
from iamata.workflows.office import Office

PATIENTS_TOGETHER: Final = 64
"""Patients who are decided about on one view of the ledger, and journalled in one durable step."""

ROWS_TOGETHER: Final = 512
"""Rows of one patient that are taken out at once."""


class BulkReading(msgspec.Struct, frozen=True, kw_only=True):
    """What a person of our staff wants of all patients."""

    person: PersonId
    purpose: str
    resource_type: str


def count_patients(office: Office) -> int:
    """Count the patients who have records here."""
    return sum(1 for _ in _list_patients(office))


def read_many(office: Office, wanted: BulkReading) -> Iterator[RowsToOpen]:
    """Take out what each permit covers, to be opened: the journal has it, durably, before it is given.

    Patients come some at a time.
    A withdrawal that comes meanwhile counts from the next step on.
    """
    staff = PERSONS.find(office.take_view(), wanted.person)
    if staff is None or staff.member != office.member or not staff.is_active:
        raise Refused(Reason.NOT_FOUND)
    shown: dict[str, None] = {}
    patients = _list_patients(office)
    while some := list(islice(patients, PATIENTS_TOGETHER)):
        for permit, found in _permit(office, wanted, some, shown):
            for place in range(0, len(found), ROWS_TOGETHER):
                yield take_out(office.custody, permit, found[place : place + ROWS_TOGETHER])


def _list_patients(office: Office) -> Iterator[PatientId]:
    patients = sorted(patient for patient, _ in office.custody.keys.store.read_all())
    return (PatientId(patient) for patient in patients if patient != NO_PATIENT)


def _permit(
    office: Office, wanted: BulkReading, patients: list[PatientId], shown: dict[str, None]
) -> list[tuple[Permit, list[FoundRow]]]:
    """Decide about some patients, and make the journal durable for all of them."""
    view = office.take_view()
    entries: list[JournalEntry] = []
    permitted: list[tuple[Permit, list[FoundRow]]] = []
    for patient in patients:
        reading = Reading(person=wanted.person, patient=patient, purpose=wanted.purpose)
        for permit, found in _decide(office, view, reading, wanted.resource_type, shown):
            shown.update(dict.fromkeys(one.listed.facts.record for one in found if one.listed.others))
            entries += write_entries(office, view, reading, [permit])
            permitted.append((permit, found))
    append_entries(office.custody, entries)
    return permitted


def _decide(
    office: Office, view: LedgerView, reading: Reading, resource_type: str, shown: dict[str, None]
) -> list[tuple[Permit, list[FoundRow]]]:
    """Decide about one patient's records: the permits, each with the rows that it covers."""
    found: list[FoundRow] = []

    def find() -> list[ListedRecord]:
        found.extend(_leave_out(find_rows(office.custody, reading.patient, resource_type), shown))
        return [one.listed for one in found]

    _, permits = decide_read(office, view, reading, find)
    return [(permit, [one for one in found if _is_covered(permit, one.listed)]) for permit in permits]


def _is_covered(permit: Permit, listed: ListedRecord) -> bool:
    return permit.covers(listed.facts.record, patient=listed.patient, others=listed.others)


def _leave_out(found: list[FoundRow], shown: dict[str, None]) -> list[FoundRow]:
    """Leave out the copies of what was shown already with another patient's records."""
    return [one for one in found if not one.listed.others or one.listed.facts.record not in shown]
