"""A broken glass: declared in the open by the person, searched for by exact demographics, reviewed by others."""

from typing import ClassVar, Final

import msgspec

from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.fhir.demographics import DEMOGRAPHICS_SYSTEM
from iamata.ledger.entries import ReviewOutcome, Role
from iamata.ledger.tables import KEYS, PERSONS
from iamata.ledger.transaction import Statement
from iamata.ledger.transactions.emergencies import DeclareEmergency, ReviewEmergency
from iamata.model.canonical import encode_struct
from iamata.model.ids import AccessId, MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_HOUR, Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import NO_PATIENT
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.vault.opening import find_refs
from iamata.vault.record import Identifier
from iamata.workflows.author import Author
from iamata.workflows.messages import read_message
from iamata.workflows.office import Office

REASON_LENGTH_MIN: Final = 12
REASON_LENGTH_MAX: Final = 2_000
DURATION_MS: Final = MS_PER_HOUR
EMERGENCY: Final = "emergency"
REVIEW: Final = "review"
"""Kinds of the commitments to the grounds of a declaration and of a review."""


class EmergencySearch(Statement):
    """A privileged person asks one custodian for one patient by exact demographics."""

    typ: ClassVar[str] = "iamata-emergency-search+jwt"

    custodian: MemberId
    person: PersonId
    demographics: str
    reason: str
    expires_ms: Instant


class Grounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a person breaks the glass, or what a reviewer found; the ledger holds the commitment."""

    purpose: str
    reason: str


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency that is on the ledger, with what opens its commitment."""

    emergency: AccessId
    grounds: Grounds
    salt: bytes


def find_in_emergency(office: Office, text: str) -> PatientId:
    """Find one patient for a privileged person who says why; one exact match or nothing, and journalled first."""
    view = office.take_view()
    message = read_message(text, EmergencySearch, network=office.author.engine.network)
    search: EmergencySearch = message.payload
    person, owner = PERSONS.find(view, search.person), KEYS.find(view, message.key)
    require(search.custodian == office.member, Reason.NOT_THE_CUSTODIAN)
    require(office.tell_time(view) <= search.expires_ms, Reason.EXPIRED)
    check_reason(search.reason)
    if person is None or owner is None or message.key not in person.keys:
        raise Refused(Reason.NOT_THE_PERSON)
    require(person.is_active and Role.EMERGENCY in person.roles, Reason.ROLE_MISSING)
    require(not person.is_privilege_suspended, Reason.PRIVILEGE_SUSPENDED)
    refs = find_refs(office.custody, Identifier("Patient", DEMOGRAPHICS_SYSTEM, search.demographics))
    patients = [office.compute_pseudonym(ref) for ref in refs]
    found = [one for one in patients if office.find_own_patient(view, one) is not None]
    entry = JournalEntry(
        kind=JournalKind.EMERGENCY,
        patient=found[0] if len(found) == 1 else NO_PATIENT,
        id=AccessId(office.author.make_id()),
        time_ms=office.tell_time(view),
        payload=text.encode("ascii"),
    )
    append_entries(office.custody, [entry])
    require(len(found) == 1, Reason.NOT_FOUND)
    return found[0]


def declare(author: Author, *, patient: PatientId, reason: str, duration_ms: int = DURATION_MS) -> Declared:
    """Break the glass with the person's own signature."""
    check_reason(reason)
    grounds, salt = Grounds(purpose="BTG", reason=reason), author.entropy(SALT_BYTES)
    emergency = AccessId(author.make_id())
    author.submit(
        DeclareEmergency,
        emergency=emergency,
        patient=patient,
        commitment=commit(EMERGENCY, salt, encode_struct(grounds)),
        until_ms=Instant(max(author.clock(), author.engine.snapshot().time_ms) + duration_ms),
    )
    return Declared(emergency=emergency, grounds=grounds, salt=salt)


def review(author: Author, emergency: AccessId, outcome: ReviewOutcome, *, reason: str) -> None:
    """Judge a broken glass with the reviewer's own signature."""
    check_reason(reason)
    grounds, salt = Grounds(purpose="review", reason=reason), author.entropy(SALT_BYTES)
    author.submit(
        ReviewEmergency,
        emergency=emergency,
        outcome=outcome,
        commitment=commit(REVIEW, salt, encode_struct(grounds)),
    )


def check_reason(reason: str) -> None:
    """Refuse a reason too short to be one, or too long to be read."""
    require(REASON_LENGTH_MIN <= len(reason.strip()) <= REASON_LENGTH_MAX, Reason.INPUT_INVALID, "the reason")

