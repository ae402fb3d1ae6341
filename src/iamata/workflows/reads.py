"""A custodian's own staff reads: decided like any request, and in the journal before anything is shown."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from iamata.consent.decide import decide
from iamata.consent.permits import Permit
from iamata.consent.purposes import EMERGENCIES
from iamata.consent.requests import Request
from iamata.ledger.entries import Person
from iamata.ledger.tables import PERSONS, READ_ANCHORS
from iamata.ledger.transactions.access import AnchorReads
from iamata.model.ids import AccessId, PatientId, PersonId
from iamata.model.instants import compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Anchor, LedgerView
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.vault.opening import ListedRecord, find_listed, list_facts, open_records
from iamata.vault.policies import may_permit, read_policy, read_shared_policies
from iamata.vault.record import OpenedRecord
from iamata.workflows.messages import ReadDetails
from iamata.workflows.office import Office

READ_MAX: Final = 10_000
"""Records in one read."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a person of our staff wants, and in which emergency if it is for one."""

    person: PersonId
    patient: PatientId
    purpose: str
    emergency: AccessId | None = None


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


def decide_read(
    office: Office, view: LedgerView, reading: Reading, find: Callable[[], list[ListedRecord]]
) -> tuple[list[ListedRecord], tuple[Permit, ...]]:
    """Decide what a person of our staff may read; look nothing up before something on file says yes."""
    staff, owner = PERSONS.find(view, reading.person), office.find_own_patient(view, reading.patient)
    if owner is None or staff is None or staff.member != office.member or not staff.is_active:
        return [], ()
    if not is_purpose_declared(office, view, reading):
        return [], ()
    at_ms = office.tell_time(view)
    day = compute_day(at_ms)
    policy = read_policy(view, office.custody, reading.patient, owner, day=day, is_own_staff=True)
    request = Request(recipients=list_capacities(office, reading.person, staff), purpose=reading.purpose)
    if not may_permit(policy, request, day=day):
        return [], ()
    listed = find()
    shared = read_shared_policies(view, office.custody, listed, day=day, is_own_staff=True)
    facts = [one.facts for one in listed]
    return listed, decide(policy, request, facts, at_ms=at_ms, shared=shared).permits


def is_purpose_declared(office: Office, view: LedgerView, reading: Reading) -> bool:
    """Tell whether the reader has declared an emergency for the patient, just where the purpose is one."""
    if reading.emergency is None:
        return reading.purpose not in EMERGENCIES
    if reading.purpose not in EMERGENCIES:
        return False
    try:
        emergency = office.get_open_emergency(view, reading.emergency, person=reading.person)
    except Refused:
        return False
    return emergency.patient == reading.patient


def list_capacities(office: Office, person: PersonId, staff: Person) -> tuple[str, ...]:
    """Name everything that a person of our staff is to a rule."""
    return (f"person:{person}", f"member:{office.member}", *(f"role:{role}" for role in staff.roles))


def journal_reads(office: Office, view: LedgerView, reading: Reading, permits: Sequence[Permit]) -> None:
    """Make durable who is about to see what, and why that is permitted, for each patient concerned."""
    entries = [
        JournalEntry(
            kind=JournalKind.READ,
            patient=permit.patient,
            id=AccessId(office.author.make_id()),
            time_ms=office.tell_time(view),
            payload=msgspec.json.encode(
                ReadDetails(
                    person=reading.person,
                    purpose=reading.purpose,
                    basis=describe_permit(permit, reading),
                    records=permit.records,
                )
            ),
        )
        for joint in permits
        for permit in (joint, *list_living(office, view, joint.others))
    ]
    append_entries(office.custody, entries)


def list_living(office: Office, view: LedgerView, permits: Sequence[Permit]) -> list[Permit]:
    """Leave out whoever was erased: nothing new is written of them."""
    return [one for one in permits if office.find_own_patient(view, one.patient) is not None]


def describe_permit(permit: Permit, reading: Reading) -> str:
    """Name what a read rests on, as the patient will see it; an emergency is told to whom it was about."""
    if permit.consent is not None:
        return f"consent/{permit.consent}"
    is_emergency = reading.emergency is not None and permit.patient == reading.patient
    return f"emergency/{reading.emergency}" if is_emergency else f"policy/{permit.policy}"
