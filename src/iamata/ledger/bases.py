"""What a disclosure can rest on, and whether it holds in this block."""

from typing import dataclass_transform

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import Consent, ConsentStatus, ImplicitPolicy, Patient, Role
from iamata.model.ids import AccessId, ConsentId, MemberId, PatientId
from iamata.model.reasons import Reason, require


@dataclass_transform(frozen_default=True)
class Basis(msgspec.Struct, frozen=True, gc=False, tag_field="type", forbid_unknown_fields=True):
    """Why records may leave their custodian."""


class ConsentBasis(Basis, tag="consent"):
    """The patient's own consent."""

    consent: ConsentId


class PolicyBasis(Basis, tag="policy"):
    """The network's implicit policy, for a patient who has never recorded a consent."""


class EmergencyBasis(Basis, tag="emergency"):
    """A glass broken by a person who answers for it."""

    emergency: AccessId


AnyBasis = ConsentBasis | PolicyBasis | EmergencyBasis


def check_basis(basis: AnyBasis, *, custodian: MemberId, patient_id: PatientId, ctx: Context) -> None:
    """Refuse unless the basis is active for this patient in this very block."""
    patient = ctx.require_patient_of(custodian, patient_id)
    if isinstance(basis, ConsentBasis):
        consent = ctx.state.consents[basis.consent]
        require(consent.patient == patient_id, Reason.CONSENT_OF_ANOTHER_PATIENT)
        require(is_in_force(consent, patient, day=ctx.block_day), Reason.BASIS_NOT_ACTIVE)
    elif isinstance(basis, PolicyBasis):
        require(not patient.has_decided, Reason.CONSENT_ON_FILE)
        require(
            ctx.state.parameters.policy in (ImplicitPolicy.BASIC_NORMAL, ImplicitPolicy.ALL_NORMAL),
            Reason.POLICY_FORBIDS,
        )
    else:
        check_emergency(basis.emergency, patient_id, ctx)


def check_emergency(emergency_id: AccessId, patient_id: PatientId, ctx: Context) -> None:
    """Refuse a glass that is not broken for this patient now, or by somebody who may no longer break it."""
    emergency = ctx.state.emergencies[emergency_id]
    # A late one was never held against the rules of declaring; it is the trace of what left, and no basis.
    is_basis = emergency.patient == patient_id and emergency.declared_ms is None
    require(is_basis, Reason.BASIS_NOT_ACTIVE)
    require(ctx.time_ms <= emergency.until_ms and emergency.outcome is None, Reason.EMERGENCY_OVER)
    person = ctx.state.persons[emergency.person]
    require(person.is_active and Role.EMERGENCY in person.roles, Reason.BASIS_NOT_ACTIVE)
    require(not person.is_privilege_suspended, Reason.PRIVILEGE_SUSPENDED)
    ctx.require_active(emergency.member)


def is_in_force(consent: Consent, patient: Patient, *, day: int) -> bool:
    """Tell whether a consent binds on a day: neither over, nor expired, nor lapsed after a take-over."""
    if consent.status is not ConsentStatus.ACTIVE or day > consent.until_day or patient.is_erased:
        return False
    if not consent.is_custodial or consent.is_confirmed or patient.confirm_until_day is None:
        return True
    return day <= patient.confirm_until_day


def describe_basis(basis: AnyBasis) -> str:
    """Spell a basis in one word and an id, as the state and the log hold it."""
    if isinstance(basis, ConsentBasis):
        return f"consent/{basis.consent}"
    if isinstance(basis, EmergencyBasis):
        return f"emergency/{basis.emergency}"
    return "policy"
