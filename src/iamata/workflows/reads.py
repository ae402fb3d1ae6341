"""A custodian's own staff reads: decided like any request, and in the journal before anything is shown."""

from collections.abc import Sequence
from typing import Final

from iamata.ledger.tables import READ_ANCHORS
from iamata.ledger.transactions.access import AnchorReads
from iamata.model.ids import AccessId, PatientId, PersonId
from iamata.model.reasons import Reason, require
from iamata.ports import Anchor
from iamata.vault.opening import ListedRecord, find_listed, list_facts, open_records
from iamata.vault.record import OpenedRecord
from iamata.workflows.deciding import Reading, decide_read, journal_reads
from iamata.workflows.office import Office

READ_MAX: Final = 10_000
"""Records in one read."""


def list_records(
    office: Office,
    *,
    person: PersonId,
    patient: PatientId,
    purpose: str,
    emergency: AccessId | None = None,
) -> list[ListedRecord]:
    """List what a person of our staff may read of a patient. The list itself is a read, and journalled."""
    reading = Reading(person=person, patient=patient, purpose=purpose, emergency=emergency)
    view = office.take_view()
    listed, permits = decide_read(office, view, reading, lambda: list_facts(office.custody, patient))
    visible = [
        one
        for one in listed
        if any(permit.covers(one.facts.record, patient=patient, others=one.others) for permit in permits)
    ]
    require(bool(visible), Reason.NOT_FOUND)
    journal_reads(office, view, reading, permits)
    return visible


def read_records(  # noqa: PLR0913  what, who, whose, what for
    office: Office,
    refs: Sequence[str],
    *,
    person: PersonId,
    patient: PatientId,
    purpose: str,
    emergency: AccessId | None = None,
) -> list[OpenedRecord]:
    """Show records to a person of our staff: decision, durable journal entry, and only then decryption."""
    reading = Reading(person=person, patient=patient, purpose=purpose, emergency=emergency)
    view, wanted = office.take_view(), list(dict.fromkeys(refs))
    require(0 < len(wanted) <= READ_MAX, Reason.NOT_FOUND)
    listed, permits = decide_read(
        office, view, reading, lambda: find_listed(office.custody, patient, wanted)
    )
    require(sum(len(permit.records) for permit in permits) == len(wanted), Reason.NOT_FOUND)
    journal_reads(office, view, reading, permits)
    opened: list[OpenedRecord] = []
    for permit in permits:
        covered = [
            one for one in listed if permit.covers(one.facts.record, patient=patient, others=one.others)
        ]
        opened.extend(open_records(office.custody, permit, covered))
    return opened


def anchor_reads(office: Office) -> list[Anchor]:
    """Put every journal entry that no anchor covers under one; finish first what a crash left half-done."""
    return office.anchor(office.custody.journal, READ_ANCHORS, AnchorReads)
