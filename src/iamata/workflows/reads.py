"""A custodian's own staff reads: decided like any request, and in the journal before anything is shown."""

from collections.abc import Sequence

import msgspec

from iamata.consent.decide import decide
from iamata.consent.permits import Permit
from iamata.consent.requests import Request
from iamata.ledger.entries import Person
from iamata.ledger.tables import PERSONS, READ_ANCHORS
from iamata.ledger.transactions.access import AnchorReads
from iamata.model.ids import AccessId, AnchorId, Digest, PatientId, PersonId, encode_digest
from iamata.model.instants import compute_day
from iamata.model.reasons import Reason, require
from iamata.ports import Anchor, LedgerView
from iamata.vault.anchoring import list_planned, plan_anchor, settle_anchor
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.vault.opening import ListedRecord, find_listed, list_facts, open_records
from iamata.vault.policies import read_policy
from iamata.vault.record import OpenedRecord
from iamata.workflows.messages import ReadDetails
from iamata.workflows.office import Office


def list_records(office: Office, *, person: PersonId, patient: PatientId, purpose: str) -> list[ListedRecord]:
    """List what a person of our staff may read of a patient. The list itself is a read, and journalled."""
    view = office.take_view()
    listed = list_facts(office.custody, patient) if office.find_own_patient(view, patient) else []
    permits = decide_read(office, view, listed, person=person, patient=patient, purpose=purpose)
    visible = [one for one in listed if any(permit.covers(one.facts.record, patient=patient) for permit in permits)]
    require(bool(visible), Reason.NOT_FOUND)
    for permit in permits:
        journal_read(office, view, permit, person=person)
    return visible


def read_records(
    office: Office, refs: Sequence[str], *, person: PersonId, patient: PatientId, purpose: str
) -> list[OpenedRecord]:
    """Show records to a person of our staff: decision, durable journal entry, and only then decryption."""
    view = office.take_view()
    listed = find_listed(office.custody, patient, refs) if office.find_own_patient(view, patient) else []
    require(len(listed) == len(refs) and bool(refs), Reason.NOT_FOUND)
    permits = decide_read(office, view, listed, person=person, patient=patient, purpose=purpose)
    require(sum(len(permit.records) for permit in permits) == len(refs), Reason.NOT_FOUND)
    opened = []
    for permit in permits:
        journal_read(office, view, permit, person=person)
        covered = [one for one in listed if permit.covers(one.facts.record, patient=patient)]
        opened.extend(open_records(office.custody, permit, covered))
    return opened


def anchor_reads(office: Office) -> list[Anchor]:
    """Put every journal entry that no anchor covers under one; finish first what a crash left half-done."""
    shelf = office.custody.journal
    anchored: list[Anchor] = []
    while planned := list_planned(shelf) or _plan_fresh(office):
        for anchor in planned:
            if READ_ANCHORS.find(office.take_view(), anchor.id) is None:
                root = Digest(encode_digest(anchor.root))
                office.author.submit(AnchorReads, anchor=anchor.id, root=root, count=anchor.count)
            settle_anchor(shelf, anchor)
            anchored.append(anchor)
    return anchored


def decide_read(  # noqa: PLR0913  who, whose, what for
    office: Office,
    view: LedgerView,
    listed: Sequence[ListedRecord],
    *,
    person: PersonId,
    patient: PatientId,
    purpose: str,
) -> tuple[Permit, ...]:
    """Decide what a person of our staff may read; nothing for whoever is not ours."""
    staff, owner = PERSONS.find(view, person), office.find_own_patient(view, patient)
    if owner is None or staff is None or staff.member != office.member or not staff.is_active:
        return ()
    at_ms = office.tell_time(view)
    policy = read_policy(view, office.custody, patient, owner, day=compute_day(at_ms), is_own_staff=True)
    request = Request(recipients=list_capacities(office, person, staff), purpose=purpose)
    return decide(policy, request, [one.facts for one in listed], at_ms=at_ms).permits


def list_capacities(office: Office, person: PersonId, staff: Person) -> tuple[str, ...]:
    """Name everything that a person of our staff is to a rule."""
    return (f"person:{person}", f"member:{office.member}", *(f"role:{role}" for role in staff.roles))


def journal_read(office: Office, view: LedgerView, permit: Permit, *, person: PersonId) -> None:
    """Make durable who is about to see what, and why it was permitted."""
    details = ReadDetails(
        person=person,
        purpose=permit.request.purpose,
        basis=f"consent/{permit.consent}" if permit.consent else f"policy/{permit.policy}",
        records=permit.records,
    )
    entry = JournalEntry(
        kind=JournalKind.READ,
        patient=permit.patient,
        id=AccessId(office.author.make_id()),
        time_ms=office.tell_time(view),
        payload=msgspec.json.encode(details),
    )
    append_entries(office.custody, [entry])


def _plan_fresh(office: Office) -> list[Anchor]:
    fresh = plan_anchor(office.custody.journal, AnchorId(office.author.make_id()))
    return [] if fresh is None else [fresh]
