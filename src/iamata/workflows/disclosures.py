"""A custodian answers another member's request: decide, tell the ledger, and only then release.

Whoever may not see anything learns nothing: an unknown patient, a refusal and a missing record have one
answer. A crash between ledger and release is healed by asking again with the same request id.
"""

from typing import Final

import msgspec

from iamata.consent.decide import decide
from iamata.consent.permits import Permit
from iamata.consent.requests import Request
from iamata.crypto import hkdf
from iamata.crypto.commitments import SALT_BYTES
from iamata.crypto.merkle import hash_leaf
from iamata.ledger.bases import AnyBasis, ConsentBasis, EmergencyBasis, PolicyBasis, describe_basis
from iamata.ledger.entries import MemberStatus, OwnerKind, Patient, Person
from iamata.ledger.tables import ACCESSES, EMERGENCIES, KEYS, MEMBERS, PATIENTS, PERSONS
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.access import Disclose
from iamata.model.ids import (
    RANDOM_ID_BYTES,
    AccessId,
    Digest,
    MemberId,
    PatientId,
    compute_random_id,
    encode_digest,
)
from iamata.model.instants import compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.journal import JournalEntry, JournalKind, append_entries, find_entries
from iamata.vault.opening import ListedRecord, list_facts, list_versions
from iamata.vault.openings import Opening, keep_opening
from iamata.vault.policies import read_policy
from iamata.vault.sharing import ReleaseContext, compute_list_root, share
from iamata.workflows.messages import (
    AccessDetails,
    Planned,
    ReceiptNote,
    RecordRequest,
    Release,
    ReleaseNote,
    ShareCode,
    read_message,
    read_plan,
)
from iamata.workflows.office import Office

SHARE: Final = "share"
"""Kind of the note that a share code was used, and by which request."""
_PASSING: Final = (Reason.STORAGE_FULL, Reason.TOO_BUSY, Reason.ENGINE_STOPPED, Reason.HOME_CORRUPT)
"""Troubles of our own, which say nothing about anybody's records."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose signatures, and whose right to ask at all, were checked."""

    request: RecordRequest
    recipient: MemberId
    person: Person
    patient_id: PatientId
    patient: Patient


def answer_request(office: Office, text: str) -> tuple[Release, ...]:
    """Release what a request may see, one release for each basis, or refuse with the answer that says nothing."""
    view = office.take_view()
    message = read_message(text, RecordRequest, network=office.author.engine.network)
    try:
        asking = check_request(office, view, message)
        planned = [plan_disclosure(office, asking, permit) for permit in decide_request(office, view, asking)]
        require(bool(planned), Reason.NOT_FOUND)
        return tuple(release(office, view, plan, permit) for plan, permit in planned)
    except Refused as refused:
        if refused.reason in _PASSING:
            raise
        raise Refused(Reason.NOT_FOUND) from refused


def accept_receipt(office: Office, text: str) -> None:
    """Keep a recipient's word that it has opened a release."""
    view = office.take_view()
    message = read_message(text, ReceiptNote, network=office.author.engine.network)
    entries = find_entries(office.custody, message.payload.access)
    released = next((entry for entry in entries if entry.header.kind is JournalKind.DISCLOSURE), None)
    require(released is not None, Reason.NOT_FOUND)
    if released is None or any(entry.header.kind is JournalKind.RECEIPT for entry in entries):
        return
    recipient = MEMBERS.find(view, read_plan(released.payload).details.recipient)
    require(recipient is not None and recipient.signing_key == message.key, Reason.NOT_THE_MEMBER)
    write_entry(office, JournalKind.RECEIPT, PatientId(released.header.patient), message.payload.access, text.encode("ascii"))


def check_request(office: Office, view: LedgerView, message: Signed[RecordRequest]) -> Asking:
    """Refuse unless a node asks for a person of its own staff, about a patient who pointed to us."""
    request: RecordRequest = message.payload
    owner = KEYS.find(view, message.key)
    require(request.custodian == office.member, Reason.NOT_THE_CUSTODIAN)
    require(office.author.clock() <= request.expires_ms, Reason.EXPIRED)
    if owner is None or owner.kind is not OwnerKind.MEMBER or owner.is_retired:
        raise Refused(Reason.NOT_A_MEMBER)
    recipient, member = MemberId(owner.owner), MEMBERS.find(view, owner.owner)
    person = PERSONS.find(view, request.person)
    require(member is not None and member.status is MemberStatus.ACTIVE, Reason.MEMBER_NOT_ACTIVE)
    if person is None or person.member != recipient or not person.is_active:
        raise Refused(Reason.NOT_THE_PERSON)
    patient_id = find_subject(office, view, request, recipient)
    patient = office.find_own_patient(view, patient_id)
    if patient is None:
        raise Refused(Reason.UNKNOWN_PATIENT)
    return Asking(request=request, recipient=recipient, person=person, patient_id=patient_id, patient=patient)


def find_subject(office: Office, view: LedgerView, request: RecordRequest, recipient: MemberId) -> PatientId:
    """Return the patient whom a share code or a declared emergency points to."""
    if isinstance(request.emergency, str):
        emergency = EMERGENCIES.find(view, request.emergency)
        if emergency is None or emergency.person != request.person or emergency.custodian != office.member:
            raise Refused(Reason.UNKNOWN_EMERGENCY)
        require(office.tell_time(view) <= emergency.until_ms, Reason.EMERGENCY_OVER)
        return emergency.patient
    require(isinstance(request.share, str), Reason.MALFORMED)
    code = read_message(str(request.share), ShareCode, network=request.network)
    share_code: ShareCode = code.payload
    patient = PATIENTS.find(view, share_code.patient)
    is_ours = (share_code.custodian, share_code.recipient) == (office.member, recipient)
    require(is_ours and patient is not None and code.key in patient.keys, Reason.NOT_THE_PATIENT)
    require(office.tell_time(view) <= share_code.until_ms, Reason.EXPIRED)
    use_share_code(office, share_code, request.access)
    return share_code.patient


def use_share_code(office: Office, code: ShareCode, access: AccessId) -> None:
    """Note that a request has used a code; the same request may use it again, no other one may."""
    salt = hkdf.derive(office.custody.index_key, salt=b"", info=code.nonce.encode(), size_bytes=SALT_BYTES)
    keep_opening(
        office.custody,
        Opening(
            name=f"{SHARE}/{code.nonce}", patient=code.patient, kind=SHARE, salt=salt, payload=access.encode("ascii")
        ),
    )


def decide_request(office: Office, view: LedgerView, asking: Asking) -> tuple[Permit, ...]:
    """Decide about all the patient's records at once; one permit for each consent, or policy, that permits."""
    at_ms = office.tell_time(view)
    policy = read_policy(view, office.custody, asking.patient_id, asking.patient, day=compute_day(at_ms))
    request = Request(
        recipients=(
            f"person:{asking.request.person}",
            f"member:{asking.recipient}",
            *(f"role:{role}" for role in asking.person.roles),
        ),
        purpose=asking.request.purpose,
    )
    facts = [listed.facts for listed in list_facts(office.custody, asking.patient_id)]
    return decide(policy, request, facts, at_ms=at_ms).permits


def plan_disclosure(office: Office, asking: Asking, permit: Permit) -> tuple[Planned, Permit]:
    """Write down what will be released before anyone hears of it; asked again, find what was written down."""
    basis = choose_basis(asking, permit)
    access = derive_access_id(asking.request.access, basis)
    for entry in find_entries(office.custody, access):
        if entry.header.kind is JournalKind.DISCLOSURE:
            return read_plan(entry.payload), permit
    listed = [one for one in list_facts(office.custody, asking.patient_id) if one.facts.record in permit.records]
    details = AccessDetails(
        access=access,
        custodian=office.member,
        patient=asking.patient_id,
        recipient=asking.recipient,
        person=asking.request.person,
        purpose=asking.request.purpose,
        basis=describe_basis(basis),
        list_root=compute_list_root(one.commitment for one in listed),
        records=tuple(one.facts.record for one in listed),
        at_ms=permit.at_ms,
    )
    planned = Planned(
        details=details, salt=office.custody.entropy(SALT_BYTES), versions=tuple(one.version for one in listed)
    )
    write_entry(office, JournalKind.DISCLOSURE, asking.patient_id, access, msgspec.json.encode(planned))
    return planned, permit


def release(office: Office, view: LedgerView, planned: Planned, permit: Permit) -> Release:
    """Put a disclosure on the ledger, and then seal its records to the recipient's node."""
    details = planned.details
    wanted = dict(zip(details.records, planned.versions, strict=True))
    listed = find_listed(office, details.patient, wanted)
    for record in details.records:
        permit.require_covers(record, patient=details.patient)
    announce(office, planned, permit)
    context = ReleaseContext(
        access=details.access,
        custodian=office.member,
        recipient=details.recipient,
        list_root=details.list_root,
    )
    key = office.get_member(view, details.recipient).sealing_key
    ciphertext = share(office.custody, permit, listed, context=context, key=key)
    note = office.author.state(
        ReleaseNote,
        access=details.access,
        recipient=details.recipient,
        list_root=details.list_root,
        ciphertext=Digest(encode_digest(hash_leaf(ciphertext))),
    )
    write_entry(office, JournalKind.RELEASE, details.patient, details.access, note.text.encode("ascii"))
    return Release(note=note.text, ciphertext=ciphertext)


def announce(office: Office, planned: Planned, permit: Permit) -> None:
    """Tell the ledger, unless it knows already; it refuses unless the basis stands in that very block."""
    details, commitment = planned.details, planned.commit()
    known = ACCESSES.find(office.take_view(), details.access)
    if known is not None:
        require(known.commitment == commitment, Reason.ACCESS_ALREADY_EXISTS)
        return
    office.author.submit(
        Disclose,
        access=details.access,
        patient=details.patient,
        basis=read_basis(details.basis),
        commitment=commitment,
    )


def choose_basis(asking: Asking, permit: Permit) -> AnyBasis:
    """Name what a permit rests on in the ledger's words."""
    if permit.consent is not None:
        return ConsentBasis(permit.consent)
    if isinstance(asking.request.emergency, str):
        return EmergencyBasis(asking.request.emergency)
    return PolicyBasis()


def read_basis(text: str) -> AnyBasis:
    """Read what `describe_basis` wrote."""
    kind, _, basis_id = text.partition("/")
    if kind == "consent":
        return ConsentBasis(basis_id)  # type: ignore[arg-type]  # our own spelling
    return EmergencyBasis(AccessId(basis_id)) if kind == "emergency" else PolicyBasis()


def derive_access_id(request: AccessId, basis: AnyBasis) -> AccessId:
    """Derive a disclosure's id from its request's and its basis, so that asking again finds it again."""
    info = describe_basis(basis).encode("ascii")
    return AccessId(
        compute_random_id(hkdf.derive(request.encode("ascii"), salt=b"", info=info, size_bytes=RANDOM_ID_BYTES))
    )


def find_listed(office: Office, patient: PatientId, wanted: dict[str, int]) -> list[ListedRecord]:
    """Find the very versions that were listed, in the list's order."""
    found = {
        one.facts.record: one
        for one in list_versions(office.custody, patient)
        if wanted.get(one.facts.record) == one.version
    }
    require(len(found) == len(wanted), Reason.NOT_FOUND)
    return [found[record] for record in wanted]


def write_entry(office: Office, kind: JournalKind, patient: PatientId, entry_id: AccessId, payload: bytes) -> None:
    """Make a journal entry durable."""
    entry = JournalEntry(
        kind=kind,
        patient=patient,
        id=entry_id,
        time_ms=office.tell_time(office.take_view()),
        payload=payload,
    )
    append_entries(office.custody, [entry])
