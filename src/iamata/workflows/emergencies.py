"""A broken glass: declared in the open, searched for by exact demographics, reviewed by others."""

from typing import ClassVar, Final

import msgspec

from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.fhir.demographics import DEMOGRAPHICS_SYSTEM
from iamata.ledger.entries import ReviewOutcome
from iamata.ledger.transaction import Statement
from iamata.ledger.transactions.emergencies import DeclareEmergency, ReviewEmergency
from iamata.ledger.transactions.late_emergencies import LateDeclaration
from iamata.model.canonical import encode_struct
from iamata.model.ids import AccessId, MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_HOUR, Instant
from iamata.model.reasons import Reason, require
from iamata.ports import NO_PATIENT
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.vault.opening import find_refs
from iamata.vault.openings import Opening, keep_opening
from iamata.vault.record import Identifier
from iamata.workflows.author import Author
from iamata.workflows.late_declarations import name_pending
from iamata.workflows.messages import SearchDetails, read_message
from iamata.workflows.office import Office
from iamata.workflows.privileges import check_privilege

REASON_LENGTH_MIN: Final = 12
REASON_LENGTH_MAX: Final = 2_000
DURATION_MS: Final = MS_PER_HOUR
SEARCH_MS_MAX: Final = MS_PER_HOUR
"""How long a signed search may be good for: whoever holds it may show it again."""
EMERGENCY: Final = "emergency"
REVIEW: Final = "review"
SEARCH: Final = "search"
"""Kinds of the commitments to the grounds of a declaration and of a review, and to a signed search."""


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
    """An emergency that is on the ledger or signed for it, with what opens its commitment."""

    emergency: AccessId
    grounds: Grounds
    salt: bytes
    declaration: str | None = None
    """Of a late one: what its person has signed, to be shown to the custodian."""


def find_in_emergency(office: Office, text: str) -> PatientId:
    """Find one patient for a privileged person who says why: one exact match or nothing; journalled."""
    view = office.take_view()
    message = read_message(text, EmergencySearch, network=office.author.engine.network)
    search: EmergencySearch = message.payload
    require(search.custodian == office.member, Reason.NOT_THE_CUSTODIAN)
    now_ms = office.tell_time(view)
    require(now_ms <= search.expires_ms <= now_ms + SEARCH_MS_MAX, Reason.EXPIRED)
    check_reason(search.reason)
    pending = name_pending(office, view, search.person)
    person = check_privilege(view, search.person, key=message.key, now_ms=now_ms, others=pending)
    refs = find_refs(office.custody, Identifier("Patient", DEMOGRAPHICS_SYSTEM, search.demographics))
    patients = [office.compute_pseudonym(ref) for ref in refs]
    found = [one for one in patients if office.find_own_patient(view, one) is not None]
    patient = found[0] if len(found) == 1 else NO_PATIENT
    opening = Opening(
        name=office.author.make_id(),
        patient=patient,
        kind=SEARCH,
        salt=office.custody.entropy(SALT_BYTES),
        payload=text.encode("ascii"),
    )
    if patient != NO_PATIENT:
        keep_opening(office.custody, opening)
    details = SearchDetails(member=person.member, person=search.person, commitment=opening.commitment)
    _journal_search(office, opening, details, now_ms=now_ms)
    require(patient != NO_PATIENT, Reason.NOT_FOUND)
    return patient


def _journal_search(office: Office, opening: Opening, details: SearchDetails, *, now_ms: Instant) -> None:
    entry = JournalEntry(
        kind=JournalKind.EMERGENCY,
        patient=opening.patient,
        id=AccessId(opening.name),
        time_ms=now_ms,
        payload=msgspec.json.encode(details),
    )
    append_entries(office.custody, [entry])


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


def declare_late(
    author: Author, *, custodian: MemberId, patient: PatientId, reason: str, duration_ms: int = DURATION_MS
) -> Declared:
    """Break the glass at a custodian with a signature alone; the ledger is told once it answers again."""
    check_reason(reason)
    grounds, salt = Grounds(purpose="BTG", reason=reason), author.entropy(SALT_BYTES)
    emergency, declared_ms = AccessId(author.make_id()), author.clock()
    declaration = author.state(
        LateDeclaration,
        emergency=emergency,
        custodian=custodian,
        patient=patient,
        commitment=commit(EMERGENCY, salt, encode_struct(grounds)),
        declared_ms=Instant(declared_ms),
        until_ms=Instant(declared_ms + duration_ms),
    )
    return Declared(emergency=emergency, grounds=grounds, salt=salt, declaration=declaration.text)


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
    require(
        REASON_LENGTH_MIN <= len(reason.strip()) <= REASON_LENGTH_MAX, Reason.INPUT_INVALID, "the reason"
    )
