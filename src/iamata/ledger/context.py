"""What a handler may know besides its transaction: the state, the block's time, and who signed."""

import dataclasses

from iamata.ledger.entries import KeyOwner, Member, MemberStatus, OwnerKind, Patient, Person, Role
from iamata.ledger.rules import Rules
from iamata.ledger.tables import Tables
from iamata.model.ids import KeyId, MemberId, PatientId, PersonId
from iamata.model.instants import Day, compute_day
from iamata.model.reasons import Reason, require


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """One transaction's view of the ledger."""

    state: Tables
    time_ms: int
    key: KeyId
    signer: KeyOwner | None
    """Whom the signing key speaks for; None where only the handler can tell."""
    height: int
    rules: Rules

    @property
    def block_day(self) -> Day:
        """The UTC day of the block."""
        return compute_day(self.time_ms)

    @property
    def member(self) -> MemberId:
        """The active member whose node signed, or a refusal."""
        member_id, _ = self.find_member_signer()
        self.require_active(member_id)
        return member_id

    def find_member_signer(self) -> tuple[MemberId, Member]:
        """Return the member whose node signed, active or not, or refuse."""
        require(self.signer is not None and self.signer.kind is OwnerKind.MEMBER, Reason.NOT_A_MEMBER)
        member_id = MemberId(self.signer.owner)  # type: ignore[union-attr]
        return member_id, self.state.members[member_id]

    def require_active(self, member: MemberId) -> None:
        """Refuse unless this member may act."""
        require(self.state.members[member].status is MemberStatus.ACTIVE, Reason.MEMBER_NOT_ACTIVE)

    def require_person(self, role: Role) -> tuple[PersonId, Person]:
        """Return the person who signed, or refuse unless it is an active one with this role."""
        require(self.signer is not None and self.signer.kind is OwnerKind.PERSON, Reason.NOT_THE_PERSON)
        person_id = PersonId(self.signer.owner)  # type: ignore[union-attr]
        person = self.state.persons[person_id]
        require(person.is_active, Reason.PERSON_NOT_ACTIVE)
        require(role in person.roles, Reason.ROLE_MISSING)
        self.require_active(person.member)
        return person_id, person

    def require_patient(self, patient_id: PatientId) -> Patient:
        """Return the patient, or refuse unless one of the patient's own keys signed."""
        patient = self.state.patients[patient_id]
        require(self.key in patient.keys and not patient.is_custodial, Reason.NOT_THE_PATIENT)
        require(not patient.is_erased, Reason.PATIENT_ERASED)
        return patient

    def require_patient_of(self, member: MemberId, patient_id: PatientId) -> Patient:
        """Return the patient, or refuse unless this member is the custodian."""
        patient = self.state.patients[patient_id]
        require(patient.custodian == member, Reason.NOT_THE_CUSTODIAN)
        require(not patient.is_erased, Reason.PATIENT_ERASED)
        return patient
