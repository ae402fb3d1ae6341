"""Patients: pseudonyms at one custodian, with keys that the patient, or at first the custodian, holds."""

import msgspec

from iamata.ledger import keyring
from iamata.ledger.context import Context
from iamata.ledger.entries import OwnerKind, Patient
from iamata.ledger.events import PatientEnrolled, PatientKeyAdded, PatientKeyRemoved, PatientTookOver
from iamata.ledger.transaction import Possession, Signed, Transaction
from iamata.model.ids import KeyId, MemberId, PatientId
from iamata.model.instants import Day
from iamata.model.reasons import Reason, require


class EnrolPatient(Transaction, tag="patient.enrol"):
    """Know a patient, who holds the key, by a pseudonym."""

    patient: PatientId
    possession: Signed[Possession]


class EnrolCustodialPatient(Transaction, tag="patient.enrol-custodial"):
    """Know a patient who has no key; the custodian holds one, and it is marked so."""

    patient: PatientId
    possession: Signed[Possession]


class AddPatientKey(Transaction, tag="patient.add-key"):
    """Let one more device, or the printed kit, speak for the patient."""

    patient: PatientId
    possession: Signed[Possession]


class RemovePatientKey(Transaction, tag="patient.remove-key"):
    """Let a lost device speak for the patient no more."""

    patient: PatientId
    key: KeyId


class TakeOver(Transaction, tag="patient.take-over"):
    """Hand a pseudonym over to the patient, who from now on holds the only key."""

    patient: PatientId
    possession: Signed[Possession]


def enrol_patient(tx: EnrolPatient, ctx: Context) -> PatientEnrolled:
    """Register a patient who has proved to hold the key."""
    custodian = ctx.member
    check_enrolment(tx.patient, tx.possession, custodian=custodian, ctx=ctx)

    write_enrolment(tx.patient, tx.possession.key, custodian=custodian, is_custodial=False, ctx=ctx)

    return PatientEnrolled(patient=tx.patient, custodian=custodian)


def enrol_custodial_patient(tx: EnrolCustodialPatient, ctx: Context) -> PatientEnrolled:
    """Register a patient for whom the custodian holds the key."""
    custodian = ctx.member
    check_enrolment(tx.patient, tx.possession, custodian=custodian, ctx=ctx)

    write_enrolment(tx.patient, tx.possession.key, custodian=custodian, is_custodial=True, ctx=ctx)

    return PatientEnrolled(patient=tx.patient, custodian=custodian, is_custodial=True)


def add_patient_key(tx: AddPatientKey, ctx: Context) -> PatientKeyAdded:
    """Register one more key of the patient's own."""
    patient = ctx.require_patient(tx.patient)
    keyring.check_room(patient.keys)
    keyring.check_possession(
        tx.possession, kind=OwnerKind.PATIENT, owner=tx.patient, member=patient.custodian, ctx=ctx
    )

    keys = (*patient.keys, tx.possession.key)
    ctx.state.patients[tx.patient] = msgspec.structs.replace(patient, keys=keys)
    keyring.register_key(tx.possession.key, kind=OwnerKind.PATIENT, owner=tx.patient, ctx=ctx)

    return PatientKeyAdded(patient=tx.patient, key=tx.possession.key)


def remove_patient_key(tx: RemovePatientKey, ctx: Context) -> PatientKeyRemoved:
    """Retire a key, but never the last one."""
    patient = ctx.require_patient(tx.patient)
    remaining = keyring.check_removal(tx.key, patient.keys)

    ctx.state.patients[tx.patient] = msgspec.structs.replace(patient, keys=remaining)
    keyring.retire_key(tx.key, ctx)

    return PatientKeyRemoved(patient=tx.patient, key=tx.key)


def take_over(tx: TakeOver, ctx: Context) -> PatientTookOver:
    """Replace the custodian's key by the patient's; old consents wait for the patient's word."""
    patient = ctx.require_patient_of(ctx.member, tx.patient)
    require(patient.is_custodial, Reason.PATIENT_NOT_CUSTODIAL)
    keyring.check_possession(
        tx.possession, kind=OwnerKind.PATIENT, owner=tx.patient, member=patient.custodian, ctx=ctx
    )

    for key in patient.keys:
        keyring.retire_key(key, ctx)
    keyring.register_key(tx.possession.key, kind=OwnerKind.PATIENT, owner=tx.patient, ctx=ctx)
    ctx.state.patients[tx.patient] = msgspec.structs.replace(
        patient,
        keys=(tx.possession.key,),
        is_custodial=False,
        confirm_until_day=Day(ctx.block_day + ctx.state.parameters.confirm_days),
    )

    return PatientTookOver(patient=tx.patient)


def check_enrolment(
    patient: PatientId, possession: Signed[Possession], *, custodian: MemberId, ctx: Context
) -> None:
    """Refuse a pseudonym that is taken and a key that is not proved to be held."""
    require(patient not in ctx.state.patients, Reason.PATIENT_ALREADY_EXISTS)
    keyring.check_possession(possession, kind=OwnerKind.PATIENT, owner=patient, member=custodian, ctx=ctx)


def write_enrolment(
    patient: PatientId, key: KeyId, *, custodian: MemberId, is_custodial: bool, ctx: Context
) -> None:
    """Write the patient and the key."""
    ctx.state.patients[patient] = Patient(custodian=custodian, keys=(key,), is_custodial=is_custodial)
    keyring.register_key(key, kind=OwnerKind.PATIENT, owner=patient, ctx=ctx)
