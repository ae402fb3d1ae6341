"""Consents: widened by patient and custodian together, narrowed and withdrawn by the patient alone."""

from typing import ClassVar

import msgspec

from iamata.ledger.bases import is_in_force
from iamata.ledger.context import Context
from iamata.ledger.entries import (
    CONSENTS_MAX,
    RESTRICTIONS_MAX,
    Consent,
    ConsentStatus,
    Patient,
    Restriction,
)
from iamata.ledger.events import (
    ConsentConfirmed,
    ConsentGranted,
    ConsentLifted,
    ConsentNarrowed,
    ConsentWithdrawn,
)
from iamata.ledger.transaction import Signed, Statement, Transaction
from iamata.model.ids import Commitment, ConsentId, KeyId, MemberId, PatientId
from iamata.model.instants import Day
from iamata.model.reasons import Reason, require


class Grant(Statement):
    """The patient's word: these terms, with this custodian, until this day."""

    typ: ClassVar[str] = "iamata-grant+jwt"

    consent: ConsentId
    patient: PatientId
    custodian: MemberId
    terms: Commitment
    until_day: Day
    submit_until_day: Day
    """After this day the custodian can no longer post it: a patient's word does not lie in wait."""
    replaces: ConsentId | msgspec.UnsetType = msgspec.UNSET


class StaffApproval(Statement):
    """A person's word that the evidence for a custodial consent is in order."""

    typ: ClassVar[str] = "iamata-approval+jwt"

    consent: ConsentId
    patient: PatientId
    terms: Commitment
    until_day: Day
    evidence: Commitment


class GrantConsent(Transaction, tag="consent.grant"):
    """Bind a custodian to the terms that a patient has signed."""

    grant: Signed[Grant]


class ReplaceConsent(Transaction, tag="consent.replace"):
    """Put new terms that a patient has signed in the place of old ones."""

    grant: Signed[Grant]


class GrantCustodialConsent(Transaction, tag="consent.grant-custodial"):
    """Bind a custodian to terms for a patient without a key: two of its staff vouch for the evidence."""

    grant: Signed[Grant]
    first: Signed[StaffApproval]
    second: Signed[StaffApproval]
    evidence: Commitment


class ConfirmConsent(Transaction, tag="consent.confirm"):
    """Stand by a consent that the custodian had signed before the patient took over."""

    consent: ConsentId


class RestrictConsent(Transaction, tag="consent.restrict"):
    """Narrow a consent; the custodian denies everything until it holds the restriction's opening."""

    consent: ConsentId
    terms: Commitment


class RestrictForPatient(Transaction, tag="consent.restrict-for"):
    """Narrow a consent on the patient's behalf, with evidence; only the patient undoes it."""

    consent: ConsentId
    terms: Commitment
    evidence: Commitment


class LiftRestriction(Transaction, tag="consent.lift"):
    """Undo what the custodian has narrowed."""

    consent: ConsentId
    terms: Commitment


class WithdrawConsent(Transaction, tag="consent.withdraw"):
    """End a consent."""

    consent: ConsentId


def grant_consent(tx: GrantConsent, ctx: Context) -> ConsentGranted:
    """Record the patient's terms, countersigned by the custodian that holds their opening."""
    grant = tx.grant.payload
    patient = check_grant(grant, key=tx.grant.key, ctx=ctx)
    require(not patient.is_custodial, Reason.PATIENT_CUSTODIAL)
    require(grant.replaces is msgspec.UNSET, Reason.MALFORMED)

    return write_grant(grant, patient, open_consent(grant), ctx)


def replace_consent(tx: ReplaceConsent, ctx: Context) -> ConsentGranted:
    """Record new terms and end the old ones in the same instant."""
    grant = tx.grant.payload
    patient = check_grant(grant, key=tx.grant.key, ctx=ctx)
    require(not patient.is_custodial, Reason.PATIENT_CUSTODIAL)
    require(isinstance(grant.replaces, str), Reason.MALFORMED)
    replaced_id = ConsentId(str(grant.replaces))
    replaced = ctx.state.consents[replaced_id]
    require(replaced.patient == grant.patient, Reason.CONSENT_OF_ANOTHER_PATIENT)
    require(replaced.status is ConsentStatus.ACTIVE, Reason.CONSENT_NOT_ACTIVE)

    ctx.state.consents[replaced_id] = msgspec.structs.replace(replaced, status=ConsentStatus.REPLACED)
    return write_grant(
        grant, without_consent(patient, replaced_id), open_consent(grant, replaces=replaced_id), ctx
    )


def grant_custodial_consent(tx: GrantCustodialConsent, ctx: Context) -> ConsentGranted:
    """Record terms that the custodian signs for a patient, on the word of two of its staff."""
    grant = tx.grant.payload
    patient = check_grant(grant, key=tx.grant.key, ctx=ctx)
    require(patient.is_custodial, Reason.PATIENT_NOT_CUSTODIAL)
    require(grant.replaces is msgspec.UNSET, Reason.MALFORMED)
    check_approvals(tx, ctx)

    return write_grant(grant, patient, open_consent(grant, is_custodial=True), ctx)


def confirm_consent(tx: ConfirmConsent, ctx: Context) -> ConsentConfirmed:
    """Make a custodial consent the patient's own, before it lapses."""
    consent, patient = require_own_consent(tx.consent, ctx)
    require(consent.is_custodial and not consent.is_confirmed, Reason.CONSENT_NOT_CUSTODIAL)
    require(is_in_force(consent, patient, day=ctx.block_day), Reason.CONSENT_ALREADY_EXPIRED)

    ctx.state.consents[tx.consent] = msgspec.structs.replace(consent, is_confirmed=True)

    return ConsentConfirmed(consent=tx.consent, patient=consent.patient)


def restrict_consent(tx: RestrictConsent, ctx: Context) -> ConsentNarrowed:
    """Narrow a consent on the patient's word alone."""
    consent, _ = require_own_consent(tx.consent, ctx)
    restriction = Restriction(terms=tx.terms)
    check_restriction(restriction, consent)

    write_restriction(tx.consent, consent, restriction, ctx)

    return ConsentNarrowed(consent=tx.consent, patient=consent.patient, restriction=tx.terms)


def restrict_for_patient(tx: RestrictForPatient, ctx: Context) -> ConsentNarrowed:
    """Narrow a consent on the custodian's word and evidence."""
    consent = ctx.state.consents[tx.consent]
    ctx.require_patient_of(ctx.member, consent.patient)
    require(consent.status is ConsentStatus.ACTIVE, Reason.CONSENT_NOT_ACTIVE)
    restriction = Restriction(terms=tx.terms, is_by_custodian=True)
    check_restriction(restriction, consent)

    write_restriction(tx.consent, consent, restriction, ctx)

    return ConsentNarrowed(
        consent=tx.consent, patient=consent.patient, restriction=tx.terms, is_by_custodian=True
    )


def lift_restriction(tx: LiftRestriction, ctx: Context) -> ConsentLifted:
    """Undo the custodian's restriction on the patient's word; the patient's own need a new grant."""
    consent, _ = require_own_consent(tx.consent, ctx)
    restriction = Restriction(terms=tx.terms, is_by_custodian=True)
    require(restriction in consent.restrictions, Reason.NOTHING_TO_LIFT)

    remaining = tuple(other for other in consent.restrictions if other != restriction)
    ctx.state.consents[tx.consent] = msgspec.structs.replace(consent, restrictions=remaining)

    return ConsentLifted(consent=tx.consent, patient=consent.patient, restriction=tx.terms)


def withdraw_consent(tx: WithdrawConsent, ctx: Context) -> ConsentWithdrawn:
    """End a consent on the patient's word alone, with this very block."""
    consent, patient = require_own_consent(tx.consent, ctx)

    ctx.state.consents[tx.consent] = msgspec.structs.replace(consent, status=ConsentStatus.WITHDRAWN)
    ctx.state.patients[consent.patient] = without_consent(patient, tx.consent)

    return ConsentWithdrawn(consent=tx.consent, patient=consent.patient)


def check_grant(grant: Grant, *, key: KeyId, ctx: Context) -> Patient:
    """Return the patient with what is still on file, or refuse a grant that is late or not theirs."""
    require(ctx.member == grant.custodian, Reason.NOT_THE_CUSTODIAN)
    patient = ctx.require_patient_of(grant.custodian, grant.patient)
    require(key in patient.keys, Reason.NOT_THE_PATIENT)
    require(grant.submit_until_day >= ctx.block_day, Reason.EXPIRED)
    require(grant.until_day >= ctx.block_day, Reason.CONSENT_ALREADY_EXPIRED)
    require(grant.consent not in ctx.state.consents, Reason.CONSENT_ALREADY_EXISTS)
    if len(patient.consents) == CONSENTS_MAX:
        on_file = tuple(one for one in patient.consents if is_still_open(one, ctx))
        require(len(on_file) < CONSENTS_MAX, Reason.TOO_LARGE)
        return msgspec.structs.replace(patient, consents=on_file)
    return patient


def is_still_open(consent_id: ConsentId, ctx: Context) -> bool:
    """Tell whether a consent on file is neither over nor expired."""
    consent = ctx.state.consents[consent_id]
    return consent.status is ConsentStatus.ACTIVE and ctx.block_day <= consent.until_day


def without_consent(patient: Patient, consent_id: ConsentId) -> Patient:
    """Return the patient without one of the consents on file."""
    remaining = tuple(one for one in patient.consents if one != consent_id)
    return msgspec.structs.replace(patient, consents=remaining)


def check_approvals(tx: GrantCustodialConsent, ctx: Context) -> None:
    """Refuse unless two different active persons of the custodian approved just this."""
    grant, persons = tx.grant.payload, []
    for approval in (tx.first, tx.second):
        said = approval.payload
        is_same = (said.consent, said.patient, said.terms) == (grant.consent, grant.patient, grant.terms)
        is_same = is_same and (said.until_day, said.evidence) == (grant.until_day, tx.evidence)
        require(is_same, Reason.STAFF_SIGNATURES_MISSING)
        owner = ctx.state.keys[approval.key]
        person = ctx.state.persons.find(owner.owner)
        require(person is not None and approval.key in person.keys, Reason.STAFF_SIGNATURES_MISSING)
        if person is not None:
            is_own_staff = person.member == grant.custodian and person.is_active
            require(is_own_staff, Reason.STAFF_SIGNATURES_MISSING)
        persons.append(owner.owner)
    require(persons[0] != persons[1], Reason.STAFF_SIGNATURES_MISSING)


def check_restriction(restriction: Restriction, consent: Consent) -> None:
    """Refuse to narrow twice in the same way, or without end."""
    require(restriction not in consent.restrictions, Reason.CONSENT_ALREADY_EXISTS)
    require(len(consent.restrictions) < RESTRICTIONS_MAX, Reason.TOO_LARGE)


def require_own_consent(consent_id: ConsentId, ctx: Context) -> tuple[Consent, Patient]:
    """Return an active consent and its patient, or refuse unless the patient's own key signed."""
    consent = ctx.state.consents[consent_id]
    patient = ctx.require_patient(consent.patient)
    require(consent.status is ConsentStatus.ACTIVE, Reason.CONSENT_NOT_ACTIVE)
    return consent, patient


def open_consent(grant: Grant, *, is_custodial: bool = False, replaces: ConsentId | None = None) -> Consent:
    """Turn a grant into the entry that the state will hold."""
    return Consent(
        patient=grant.patient,
        custodian=grant.custodian,
        terms=grant.terms,
        until_day=grant.until_day,
        is_custodial=is_custodial,
        replaces=replaces,
    )


def write_grant(grant: Grant, patient: Patient, consent: Consent, ctx: Context) -> ConsentGranted:
    """Write a consent, and that its patient has now decided."""
    ctx.state.consents[grant.consent] = consent
    ctx.state.patients[grant.patient] = msgspec.structs.replace(
        patient, consents=(*patient.consents, grant.consent), has_decided=True
    )

    return ConsentGranted(
        consent=grant.consent,
        patient=grant.patient,
        custodian=grant.custodian,
        until_day=grant.until_day,
        replaces=grant.replaces,
        is_custodial=consent.is_custodial,
    )


def write_restriction(
    consent_id: ConsentId, consent: Consent, restriction: Restriction, ctx: Context
) -> None:
    """Append a restriction to a consent."""
    restrictions = (*consent.restrictions, restriction)
    ctx.state.consents[consent_id] = msgspec.structs.replace(consent, restrictions=restrictions)
