"""Emergencies: a privileged person breaks the glass in the open, and answers for it in time."""

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import Emergency, MemberKind, MemberStatus, Person, ReviewOutcome, Role
from iamata.ledger.events import EmergencyDeclared, EmergencyReviewed
from iamata.ledger.transaction import Transaction
from iamata.model.ids import AccessId, Commitment, MemberId, PatientId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, require


class DeclareEmergency(Transaction, tag="emergency.declare"):
    """Break the glass: the commitment binds purpose and reason, the person signs."""

    emergency: AccessId
    patient: PatientId
    commitment: Commitment
    until_ms: Instant


class ReviewEmergency(Transaction, tag="emergency.review"):
    """Judge a broken glass, with a commitment to the grounds."""

    emergency: AccessId
    outcome: ReviewOutcome
    commitment: Commitment


def declare_emergency(tx: DeclareEmergency, ctx: Context) -> EmergencyDeclared:
    """Record an emergency of a privileged person with no review overdue and not too many open."""
    person_id, person = ctx.require_person(Role.EMERGENCY)
    parameters = ctx.state.parameters
    require(not person.is_privilege_suspended, Reason.PRIVILEGE_SUSPENDED)
    require(not has_overdue_review(person, ctx), Reason.PRIVILEGE_SUSPENDED)
    require(len(person.emergencies) < parameters.emergencies_open_max, Reason.TOO_MANY_OPEN_EMERGENCIES)
    require(
        ctx.time_ms < tx.until_ms <= ctx.time_ms + parameters.emergency_ms_max, Reason.EMERGENCY_TOO_LONG
    )
    require(tx.emergency not in ctx.state.emergencies, Reason.EMERGENCY_ALREADY_EXISTS)
    patient = ctx.state.patients[tx.patient]
    require(not patient.is_erased, Reason.PATIENT_ERASED)

    ctx.state.emergencies[tx.emergency] = Emergency(
        person=person_id,
        member=person.member,
        custodian=patient.custodian,
        patient=tx.patient,
        commitment=tx.commitment,
        until_ms=tx.until_ms,
        review_until_ms=Instant(ctx.time_ms + parameters.review_ms_max),
    )
    ctx.state.persons[person_id] = msgspec.structs.replace(
        person, emergencies=(*person.emergencies, tx.emergency)
    )

    return EmergencyDeclared(
        emergency=tx.emergency,
        person=person_id,
        patient=tx.patient,
        custodian=patient.custodian,
        until_ms=tx.until_ms,
    )


def review_emergency(tx: ReviewEmergency, ctx: Context) -> EmergencyReviewed:
    """Record the judgement of a reviewer who is not of the declarer's member."""
    _, reviewer = ctx.require_person(Role.REVIEWER)
    emergency = ctx.state.emergencies[tx.emergency]
    require(emergency.outcome is None, Reason.ALREADY_REVIEWED)
    require(is_independent(reviewer.member, emergency, ctx), Reason.REVIEWER_NOT_INDEPENDENT)
    person = ctx.state.persons[emergency.person]

    ctx.state.emergencies[tx.emergency] = msgspec.structs.replace(emergency, outcome=tx.outcome)
    ctx.state.persons[emergency.person] = msgspec.structs.replace(
        person,
        emergencies=tuple(other for other in person.emergencies if other != tx.emergency),
        is_privilege_suspended=person.is_privilege_suspended or tx.outcome is ReviewOutcome.UNJUSTIFIED,
    )

    return EmergencyReviewed(emergency=tx.emergency, patient=emergency.patient, outcome=tx.outcome)


def has_overdue_review(person: Person, ctx: Context) -> bool:
    """Tell whether a glass that this person broke was not reviewed in time."""
    return any(
        ctx.time_ms > ctx.state.emergencies[emergency].review_until_ms for emergency in person.emergencies
    )


def is_independent(reviewing: MemberId, emergency: Emergency, ctx: Context) -> bool:
    """Tell whether a member may judge: the custodian; a regulator where it cannot, or is late."""
    if reviewing == emergency.member:
        return False
    custodian = ctx.state.members[emergency.custodian]
    needs_regulator = (
        emergency.member == emergency.custodian
        or custodian.status is not MemberStatus.ACTIVE
        or ctx.time_ms > emergency.review_until_ms
    )
    is_regulator = ctx.state.members[reviewing].kind is MemberKind.REGULATOR
    return reviewing == emergency.custodian or (needs_regulator and is_regulator)
