"""Members at work in a little world: their offices with stores in memory, and what their patients say.

`open_office` gives a member of a `World` an `Office`; the other functions are the steps of a story, each
through the use case that a running node would call.
"""

from typing import Any, Final

from iamata.consent.requests import RecordFacts
from iamata.consent.terms import Rule, Ruling, Terms
from iamata.ledger.entries import OwnerKind
from iamata.ledger.envelope import read_statement
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.consents import Grant
from iamata.ledger.transactions.patients import TakeOver
from iamata.model.ids import AccessId, ConsentId, MemberId, Nonce, PatientId, PersonId
from iamata.model.instants import MS_PER_HOUR, MS_PER_MINUTE, Day, Instant, compute_day
from iamata.ports import Finality
from iamata.stores.key_holders import LocalKeyHolder
from iamata.stores.memory.home import make_member_stores
from iamata.testing.entropy import derive_bytes
from iamata.testing.world import Party, World
from iamata.vault.custody import Custody, MemberStores
from iamata.vault.record import Identifier, PreparedRecord
from iamata.vault.sealing import seal
from iamata.workflows import accesses, consents, receiving, wallets
from iamata.workflows.author import Author
from iamata.workflows.messages import AccessListRequest, RecordRequest, ReleaseNote, read_message
from iamata.workflows.office import Office
from iamata.workflows.wallets import SaltedTerms

POLICY: Final = "urn:iamata:testing:terms:1"


def open_office(world: World, member: str, *, stores: MemberStores | None = None) -> Office:
    """Open a founder's office; the same stores again are the same vault after a restart."""
    holder = LocalKeyHolder(derive_bytes(world.seed, "kek", member, length=32), member=MemberId(member))
    custody = Custody(
        stores or make_member_stores(), holder, member=MemberId(member), entropy=world.entropy
    )
    founder = world.founders[MemberId(member)]
    return Office(author=world.node(member).author, custody=custody, sealing_key=founder.sealing_seed)


def keep_records(office: Office, patient: Party, labels: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Seal observations of a patient, each with its labels; return how they are referred to."""
    unit = [write_record(PatientId(patient.id), name, own) for name, own in labels.items()]
    seal(office.custody, [unit])
    return tuple(record.facts.record for record in unit)


def write_record(
    patient: PatientId, name: str, labels: tuple[str, ...], *others: PatientId
) -> PreparedRecord:
    """Write an observation that says its own name, of one patient or of several."""
    return PreparedRecord(
        patients=(patient, *others),
        facts=RecordFacts(record=f"Observation/{name}", resource_type="Observation", labels=labels),
        body=b'{"resourceType":"Observation","id":"%s"}' % name.encode("ascii"),
    )


def keep(office: Office, record: PreparedRecord) -> None:
    """Seal one record."""
    seal(office.custody, [[record]])


def keep_patient_resource(office: Office, ref: str, *identifiers: Identifier) -> PatientId:
    """Seal a Patient resource under the pseudonym that an import would give it."""
    patient = office.compute_pseudonym(ref)
    facts = RecordFacts(record=ref, resource_type="Patient", labels=("N",))
    record = PreparedRecord(patients=(patient,), facts=facts, body=b"{}", identifiers=identifiers)
    seal(office.custody, [[record]])
    return patient


def write_terms(world: World, *, decision: Ruling = Ruling.PERMIT, **rule: Any) -> Terms:  # noqa: ANN401  a rule's fields
    """Write terms: unless told otherwise, treatment by hospital B, of what is normal."""
    fields: dict[str, Any] = {
        "recipients": ("member:hospital-b",),
        "purposes": ("TREAT",),
        "labels": ("N",),
    }
    return Terms(decision=decision, recorded_ms=Instant(world.clock()), policy=POLICY, **(fields | rule))


def deny(*labels: str, **rule: Any) -> Rule:  # noqa: ANN401  a rule's fields
    """Write an exception that takes labels back."""
    return Rule(decision=Ruling.DENY, labels=labels, **rule)


def grant(  # noqa: PLR0913  a story names what it needs
    world: World,
    office: Office,
    patient: Party,
    terms: Terms,
    *,
    days: int = 365,
    replaces: ConsentId | None = None,
) -> ConsentId:
    """Let a patient grant terms, and the custodian countersign them."""
    salted, consent = salt(patient, terms), ConsentId(patient.author.make_id())
    until = Day(world.today + days)
    signed = sign_grant(
        patient.author, salted, consent=consent, patient=patient, until_day=until, replaces=replaces
    )
    consents.accept_grant(office, signed.text, salted)
    return consent


def sign_grant(  # noqa: PLR0913  a grant's own fields
    author: Author,
    salted: SaltedTerms,
    *,
    consent: ConsentId,
    patient: Party,
    until_day: Day | None = None,
    replaces: ConsentId | None = None,
) -> Signed[Grant]:
    """Sign a grant about a patient, rightly or wrongly."""
    return wallets.sign_grant(
        author,
        salted,
        consent=consent,
        patient=PatientId(patient.id),
        custodian=patient.custodian,
        until_day=Day(compute_day(author.clock()) + 365) if until_day is None else until_day,
        replaces=replaces,
    )


def salt(patient: Party, terms: Terms) -> SaltedTerms:
    """Salt terms as the patient's wallet does."""
    return wallets.salt_terms(terms, patient.author)


def take_over(office: Office, patient: PatientId, author: Author) -> Finality:
    """Let a patient take the custodian's key away."""
    possession = author.prove_possession(OwnerKind.PATIENT, patient, member=office.member)
    return office.author.submit(TakeOver, patient=patient, possession=possession)


def share_code(patient: Party, *, recipient: str = "hospital-b", minutes: int = 60) -> str:
    """Let a patient write a share code."""
    return wallets.write_share_code(
        patient.author,
        custodian=patient.custodian,
        patient=PatientId(patient.id),
        recipient=MemberId(recipient),
        until_ms=patient.author.clock() + minutes * MS_PER_MINUTE,
    )


def ask(
    office: Office, person: Party, patient: Party, *, purpose: str = "TREAT", share: str | None = None
) -> str:
    """Let a person of another member ask with the patient's share code."""
    return receiving.ask_with_share(
        office,
        custodian=patient.custodian,
        person=PersonId(person.id),
        purpose=purpose,
        share=share or share_code(patient, recipient=office.member),
    )


def ask_in_emergency(
    office: Office, person: Party, patient: Party, emergency: AccessId, *, purpose: str = "BTG"
) -> str:
    """Let a person of another member ask in a declared emergency."""
    return receiving.ask_in_emergency(
        office,
        custodian=patient.custodian,
        person=PersonId(person.id),
        purpose=purpose,
        emergency=emergency,
    )


def read_request(world: World, text: str) -> RecordRequest:
    """Read what a request says."""
    request: RecordRequest = read_message(text, RecordRequest, network=world.engine.network).payload
    return request


def read_note(text: str) -> ReleaseNote:
    """Read what a release's note says."""
    note: ReleaseNote = read_statement(text, ReleaseNote).payload
    return note


def list_accesses(office: Office, patient: Party) -> tuple[accesses.AccessProof, ...]:
    """Let a patient ask who looked."""
    asked = patient.author.state(
        AccessListRequest,
        custodian=office.member,
        patient=PatientId(patient.id),
        nonce=Nonce(patient.author.make_id()),
        expires_ms=Instant(patient.author.clock() + MS_PER_HOUR),
    )
    return accesses.list_accesses(office, asked.text)
