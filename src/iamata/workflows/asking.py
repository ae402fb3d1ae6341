"""Who asks, and about whom: a node for a person of its staff, about a patient who pointed to us.

Nothing here opens a record, and nothing is written: every request is weighed by the ledger, the message
itself and the note that a share code was used.
"""

from typing import Final

import msgspec

from iamata.consent.purposes import EMERGENCIES
from iamata.consent.requests import Request
from iamata.crypto import hkdf
from iamata.crypto.commitments import SALT_BYTES
from iamata.ledger.entries import MemberStatus, OwnerKind, Patient, Person
from iamata.ledger.tables import KEYS, MEMBERS, PATIENTS, PERSONS
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.late_emergencies import LateDeclaration
from iamata.model.ids import MemberId, PatientId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.openings import Opening, find_opening, keep_opening
from iamata.workflows.late_declarations import check_declaration
from iamata.workflows.messages import RecordRequest, ShareCode, read_message
from iamata.workflows.office import Office

SHARE: Final = "share"
"""Kind of the note that a share code was used, and by which request."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose signatures, and whose right to ask at all, were checked."""

    request: RecordRequest
    recipient: MemberId
    person: Person
    patient_id: PatientId
    patient: Patient
    share: ShareCode | None
    """None in an emergency."""
    declaration: Signed[LateDeclaration] | None = None
    """Of an emergency that the person declared without the ledger."""

    def describe(self) -> Request:
        """Put it as a decision is asked: every capacity in which the person was authenticated."""
        roles = (f"role:{role}" for role in self.person.roles)
        recipients = (f"person:{self.request.person}", f"member:{self.recipient}", *roles)
        return Request(recipients=recipients, purpose=self.request.purpose)


def check_request(office: Office, view: LedgerView, message: Signed[RecordRequest]) -> Asking:
    """Refuse unless a node asks for a person of its own staff, about a patient who pointed to us."""
    request: RecordRequest = message.payload
    require(request.custodian == office.member, Reason.NOT_THE_CUSTODIAN)
    require(office.tell_time(view) <= request.expires_ms, Reason.EXPIRED)
    owner = KEYS.find(view, message.key)
    if owner is None or owner.kind is not OwnerKind.MEMBER or owner.is_retired:
        raise Refused(Reason.NOT_A_MEMBER)
    recipient, member = MemberId(owner.owner), MEMBERS.find(view, owner.owner)
    require(member is not None and member.status is MemberStatus.ACTIVE, Reason.MEMBER_NOT_ACTIVE)
    person = PERSONS.find(view, request.person)
    if person is None or person.member != recipient or not person.is_active:
        raise Refused(Reason.NOT_THE_PERSON)
    share = read_share_code(office, view, request, recipient=recipient)
    declaration = None
    if share is not None:
        patient_id = share.patient
    elif isinstance(request.declaration, str):
        declaration = check_late_request(office, view, request)
        patient_id = declaration.payload.patient
    else:
        patient_id = find_emergency_patient(office, view, request)
    patient = office.find_own_patient(view, patient_id)
    if patient is None:
        raise Refused(Reason.UNKNOWN_PATIENT)
    return Asking(
        request=request,
        recipient=recipient,
        person=person,
        patient_id=patient_id,
        patient=patient,
        share=share,
        declaration=declaration,
    )


def check_late_request(office: Office, view: LedgerView, request: RecordRequest) -> Signed[LateDeclaration]:
    """Return the late emergency that a request shows; it serves emergencies, and stands alone."""
    is_alone = request.emergency is msgspec.UNSET
    require(is_alone and request.purpose in EMERGENCIES, Reason.PURPOSE_NOT_PERMITTED)
    return check_declaration(office, view, request)


def find_emergency_patient(office: Office, view: LedgerView, request: RecordRequest) -> PatientId:
    """Return whom a declared emergency is about; it serves emergencies and nothing else."""
    if not isinstance(request.emergency, str):
        raise Refused(Reason.MALFORMED)
    require(request.purpose in EMERGENCIES, Reason.PURPOSE_NOT_PERMITTED)
    return office.get_open_emergency(view, request.emergency, person=request.person).patient


def read_share_code(
    office: Office, view: LedgerView, request: RecordRequest, *, recipient: MemberId
) -> ShareCode | None:
    """Read the code by which the patient pointed to us, None in an emergency.

    An emergency is declared in the open, so a purpose of that name never comes with a code instead.
    """
    if not isinstance(request.share, str):
        return None
    is_everyday = request.purpose not in EMERGENCIES and request.emergency is msgspec.UNSET
    is_everyday = is_everyday and request.declaration is msgspec.UNSET
    require(is_everyday, Reason.PURPOSE_NOT_PERMITTED)
    message = read_message(request.share, ShareCode, network=request.network)
    code: ShareCode = message.payload
    is_for_both = (code.custodian, code.recipient) == (office.member, recipient)
    patient = PATIENTS.find(view, code.patient)
    require(is_for_both and patient is not None and message.key in patient.keys, Reason.NOT_THE_PATIENT)
    require(office.tell_time(view) <= code.until_ms, Reason.EXPIRED)
    used = find_opening(office.custody, _name_use(code))
    require(used is None or used.payload == request.access.encode("ascii"), Reason.EXPIRED)
    return code


def use_share_code(office: Office, asking: Asking) -> None:
    """Note durably which request a code has served: that one may ask again, no other one may.

    A code that led to nothing stays good, and a refusal writes nothing.
    """
    if asking.share is None:
        return
    nonce = asking.share.nonce.encode("ascii")
    salt = hkdf.derive(office.custody.index_key, salt=b"", info=nonce, size_bytes=SALT_BYTES)
    keep_opening(
        office.custody,
        Opening(
            name=_name_use(asking.share),
            patient=asking.patient_id,
            kind=SHARE,
            salt=salt,
            payload=asking.request.access.encode("ascii"),
        ),
    )


def _name_use(code: ShareCode) -> str:
    return f"{SHARE}/{code.nonce}"
