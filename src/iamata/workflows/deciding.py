"""Whether a person of our staff may read, and the entry that says so: what every read begins with."""

from collections.abc import Callable, Sequence

import msgspec

from iamata.consent.decide import decide, list_narrowing
from iamata.consent.permits import Permit
from iamata.consent.policy import Policy
from iamata.consent.purposes import EMERGENCIES
from iamata.consent.requests import RecordFacts, Request
from iamata.ledger.entries import Person
from iamata.ledger.tables import PERSONS
from iamata.model.ids import AccessId, PatientId, PersonId
from iamata.model.instants import compute_day
from iamata.model.reasons import Refused
from iamata.ports import LedgerView
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.vault.opening import ListedRecord
from iamata.vault.policies import may_permit, read_policy, read_shared_policies
from iamata.workflows.messages import ReadDetails
from iamata.workflows.office import Office


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a person of our staff wants, and in which emergency if it is for one."""

    person: PersonId
    patient: PatientId
    purpose: str
    emergency: AccessId | None = None


def decide_read(
    office: Office, view: LedgerView, reading: Reading, find: Callable[[], list[ListedRecord]]
) -> tuple[list[ListedRecord], tuple[Permit, ...]]:
    """Decide what a person of our staff may read; look nothing up before something on file says yes."""
    found = _find_policy(office, view, reading)
    if found is None:
        return [], ()
    policy, request = found
    at_ms = office.tell_time(view)
    day = compute_day(at_ms)
    if not may_permit(policy, request, day=day):
        return [], ()
    listed = find()
    shared = read_shared_policies(view, office.custody, listed, day=day, is_own_staff=True)
    facts = [one.facts for one in listed]
    return listed, decide(policy, request, facts, at_ms=at_ms, shared=shared).permits


def is_narrowed(office: Office, view: LedgerView, reading: Reading, facts: Sequence[RecordFacts]) -> bool:
    """Tell whether a patient keeps single records, of the kinds asked for, from a person of our staff."""
    found = _find_policy(office, view, reading)
    return found is not None and bool(list_narrowing(*found, facts, at_ms=office.tell_time(view)))


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


def _find_policy(office: Office, view: LedgerView, reading: Reading) -> tuple[Policy, Request] | None:
    """Find what governs the patient, and as whom a person of our staff asks; None for anybody else."""
    staff, owner = PERSONS.find(view, reading.person), office.find_own_patient(view, reading.patient)
    if owner is None or staff is None or staff.member != office.member or not staff.is_active:
        return None
    if not is_purpose_declared(office, view, reading):
        return None
    day = compute_day(office.tell_time(view))
    policy = read_policy(view, office.custody, reading.patient, owner, day=day, is_own_staff=True)
    request = Request(recipients=list_capacities(office, reading.person, staff), purpose=reading.purpose)
    return policy, request


def list_capacities(office: Office, person: PersonId, staff: Person) -> tuple[str, ...]:
    """Name everything that a person of our staff is to a rule."""
    return (f"person:{person}", f"member:{office.member}", *(f"role:{role}" for role in staff.roles))


def journal_reads(office: Office, view: LedgerView, reading: Reading, permits: Sequence[Permit]) -> None:
    """Make durable who is about to see what, and why that is permitted, for each patient concerned."""
    append_entries(office.custody, write_entries(office, view, reading, permits))


def write_entries(
    office: Office, view: LedgerView, reading: Reading, permits: Sequence[Permit]
) -> list[JournalEntry]:
    """Write who is about to see what; nobody sees it before `append_entries` has made it durable."""
    return [
        write_read(office, view, permit.patient, describe_read(reading, permit, permit.records))
        for joint in permits
        for permit in (joint, *list_living(office, view, joint.others))
    ]


def describe_read(reading: Reading, permit: Permit, records: tuple[str, ...]) -> ReadDetails:
    """Say who reads what for what, and what that rests on."""
    return ReadDetails(
        person=reading.person,
        purpose=reading.purpose,
        basis=describe_permit(permit, reading),
        records=records,
    )


def write_read(office: Office, view: LedgerView, patient: PatientId, details: ReadDetails) -> JournalEntry:
    """Put a read of a patient's as the journal keeps it."""
    return JournalEntry(
        kind=JournalKind.READ,
        patient=patient,
        id=AccessId(office.author.make_id()),
        time_ms=office.tell_time(view),
        payload=msgspec.json.encode(details),
    )


def list_living(office: Office, view: LedgerView, permits: Sequence[Permit]) -> list[Permit]:
    """Leave out whoever was erased: nothing new is written of them."""
    return [one for one in permits if office.find_own_patient(view, one.patient) is not None]


def describe_permit(permit: Permit, reading: Reading) -> str:
    """Name what a read rests on, as the patient will see it; an emergency is told to whom it was about."""
    if permit.consent is not None:
        return f"consent/{permit.consent}"
    is_emergency = reading.emergency is not None and permit.patient == reading.patient
    return f"emergency/{reading.emergency}" if is_emergency else f"policy/{permit.policy}"
