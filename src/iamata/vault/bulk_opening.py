"""Opening many records at once: what may be listed for decisions about one type, and what permits allow.

The same promises as in `opening`: nothing is opened that a permit does not name, and only the version that
was decided on. A row is looked up once, for both.
"""

from collections.abc import Iterator, Sequence

import msgspec

from iamata.consent.permits import Permit
from iamata.model.ids import PatientId
from iamata.model.reasons import Reason, require
from iamata.ports import RecordRow
from iamata.vault.custody import Custody
from iamata.vault.opening import ListedRecord, list_row
from iamata.vault.record import OpenedRecord
from iamata.vault.rows import open_row


class FoundRow(msgspec.Struct, frozen=True, gc=False):
    """A row, and what a decision needs to know of its record."""

    row: RecordRow
    listed: ListedRecord


def find_rows(custody: Custody, patient: PatientId, resource_type: str) -> list[FoundRow]:
    """Find the newest version of each of a patient's records of one type."""
    newest = {row.lookup: row for row in custody.records.store.read_of_patient(patient)}
    found = [FoundRow(row, list_row(custody, row)) for row in newest.values()]
    return [one for one in found if one.listed.facts.resource_type == resource_type]


def open_rows(custody: Custody, permit: Permit, found: Sequence[FoundRow]) -> Iterator[OpenedRecord]:
    """Open what a permit names, or refuse at once what it does not."""
    for one in found:
        listed = one.listed
        permit.require_covers(listed.facts.record, patient=listed.patient, others=listed.others)
    return (_open(custody, one) for one in found)


def _open(custody: Custody, one: FoundRow) -> OpenedRecord:
    opened = open_row(custody, one.row, custody.records.store.read_body(one.row.sequence))
    listed = one.listed
    is_what_was_decided_on = (opened.header.facts, opened.header.patient, opened.others) == (
        listed.facts,
        listed.patient,
        listed.others,
    )
    require(is_what_was_decided_on, Reason.PERMIT_DOES_NOT_COVER)
    return opened
