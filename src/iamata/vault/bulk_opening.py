"""Opening many records at once: what may be listed for decisions about one type, and what permits allow.

The same promises as in `opening`: nothing is opened that a permit does not name, and only the version that
was decided on. A row is looked up, and its facts are opened, once for both.
"""

from collections.abc import Sequence

import msgspec

from iamata.consent.permits import Permit
from iamata.crypto import aead
from iamata.model.ids import PatientId
from iamata.ports import RecordRow
from iamata.vault.custody import Custody
from iamata.vault.opening import ListedRecord, list_row
from iamata.vault.record import SealedFacts
from iamata.vault.rows import SealedBody, bind_row, make_sealed_body, open_body, open_bound_facts


class FoundRow(msgspec.Struct, frozen=True, gc=False):
    """A row, what it is bound to, its opened facts, and what a decision needs to know of its record."""

    row: RecordRow
    place: bytes
    facts: SealedFacts
    listed: ListedRecord


def find_rows(custody: Custody, patient: PatientId, resource_type: str) -> list[FoundRow]:
    """Find the newest version of each of a patient's records of one type."""
    newest = {row.lookup: row for row in custody.records.store.read_of_patient(patient)}
    if not newest:
        return []
    key, found = custody.get_data_key(patient), []
    for row in newest.values():
        place = bind_row(custody.member, row)
        facts = open_bound_facts(row, key, place)
        listed = list_row(row, facts)
        if listed.facts.resource_type == resource_type:
            found.append(FoundRow(row, place, facts, listed))
    return found


class RowsToOpen(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one patient that a permit covers, still sealed, with the data key that opens them.

    Whoever has this needs nothing else to read the records: make it when all is decided and journalled.
    """

    key: bytes
    rows: list[SealedBody]


def take_out(custody: Custody, permit: Permit, found: Sequence[FoundRow]) -> RowsToOpen:
    """Take rows out of the store to be opened, or refuse at once what a permit does not name.

    What comes out in the end has the very facts that were decided on: they are bound to row and body.
    """
    for one in found:
        listed = one.listed
        permit.require_covers(listed.facts.record, patient=listed.patient, others=listed.others)
    bodies = custody.records.store.read_bodies([one.row.sequence for one in found])
    return RowsToOpen(
        key=custody.get_data_key(permit.patient).reveal(),
        rows=[make_sealed_body(one.row, one.place, one.facts, bodies[one.row.sequence]) for one in found],
    )


def open_rows(asked: RowsToOpen) -> list[bytes]:
    """Open the bodies, or refuse a row that was changed or is not what was committed to.

    A function of its question alone, so that another process can answer it too.
    """
    key = aead.Key(asked.key)
    return [open_body(key, one) for one in asked.rows]
