"""Cases of patients: enrolment, keys, custodial keys and take-over."""

from iamata.ledger.entries import OwnerKind
from iamata.ledger.entries import KEYS_MAX
from iamata.ledger.transactions.patients import (
    AddPatientKey,
    EnrolCustodialPatient,
    EnrolPatient,
    RemovePatientKey,
    TakeOver,
)
from iamata.ledger.transactions.records import EraseRecords
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World

CASES = Cases("patients")
A = MemberId("hospital-a")


def erase(world: World, patient: Party) -> None:
    """Let the custodian erase a patient."""
    world.node(patient.custodian).author.submit(
        EraseRecords, patient=patient.id, statement=world.derive_commitment("erasure"), count=3
    )


@CASES.add("patient.enrolled", "LED-PAT-1", why="A custodian knows a patient by a pseudonym.")
def accepts_patient_enrol(world: World) -> bytes:
    patient = world.derive_id("patient", "anna")
    possession = world.stranger("anna").prove_possession(OwnerKind.PATIENT, patient, member=A)
    return world.node("hospital-a").author.write(EnrolPatient, patient=patient, possession=possession)


@CASES.add("patient.enrolled", "LED-PAT-2", why="Who has no key is enrolled all the same, and marked so.")
def accepts_patient_enrol_custodial(world: World) -> bytes:
    patient = world.derive_id("patient", "anna")
    possession = world.stranger("anna").prove_possession(OwnerKind.PATIENT, patient, member=A)
    return world.node("hospital-a").author.write(
        EnrolCustodialPatient, patient=patient, possession=possession
    )


@CASES.add(
    Reason.PATIENT_ALREADY_EXISTS, "LED-PAT-1", why="A pseudonym names one patient at one custodian."
)
def enrol_a_pseudonym_that_is_taken(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    possession = world.stranger("other").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    return world.node("hospital-b").author.write(EnrolPatient, patient=anna.id, possession=possession)


@CASES.add(Reason.KEY_ALREADY_USED, "LED-KEY-2", why="A key shared by two custodians would link them.")
def enrol_with_the_key_of_another_custodian(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    other = world.derive_id("patient", "anna again")
    possession = anna.author.prove_possession(OwnerKind.PATIENT, other, member=A)
    return world.node("hospital-b").author.write(EnrolPatient, patient=other, possession=possession)


@CASES.add(
    Reason.BAD_PROOF_OF_POSSESSION, "LED-KEY-3", why="The key's holder must want just this pseudonym."
)
def enrol_with_a_proof_for_another(world: World) -> bytes:
    possession = world.stranger("anna").prove_possession(OwnerKind.PATIENT, "another", member=A)
    return world.node("hospital-a").author.write(
        EnrolPatient, patient=world.derive_id("patient", "anna"), possession=possession
    )


@CASES.add("patient.key-added", "LED-PAT-8", why="A second device, or the printed kit.")
def accepts_patient_add_key(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    possession = world.stranger("phone").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    return anna.author.write(AddPatientKey, patient=anna.id, possession=possession)


@CASES.add(Reason.NOT_THE_PATIENT, "LED-PAT-4", why="The custodian cannot slip a key of its own in.")
def add_a_key_by_the_custodian(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    possession = world.stranger("phone").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    return world.node("hospital-a").author.write(AddPatientKey, patient=anna.id, possession=possession)


@CASES.add(
    Reason.NOT_THE_PATIENT, "LED-PAT-4", why="A key that the custodian holds is not the patient's word."
)
def add_a_key_by_the_custodial_key(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a", is_custodial=True)
    possession = world.stranger("phone").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    return anna.author.write(AddPatientKey, patient=anna.id, possession=possession)


@CASES.add(Reason.UNKNOWN_PATIENT, "LED-PAT-3", why="There is nobody to add a key to.")
def add_a_key_to_nobody(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    nobody = world.derive_id("nobody")
    possession = world.stranger("phone").prove_possession(OwnerKind.PATIENT, nobody, member=A)
    return anna.author.write(AddPatientKey, patient=nobody, possession=possession)


@CASES.add(Reason.TOO_MANY_KEYS, "LED-KEY-4", why="Eight keys are enough.")
def add_a_ninth_key(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    proofs = [world.stranger(str(n)).prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian) for n in range(KEYS_MAX)]
    for proof in proofs[:-1]:
        anna.author.submit(AddPatientKey, patient=anna.id, possession=proof)
    return anna.author.write(AddPatientKey, patient=anna.id, possession=proofs[-1])


@CASES.add(Reason.PATIENT_ERASED, "LED-PAT-5", why="After an erasure nothing about the patient changes.")
def add_a_key_after_erasure(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    erase(world, anna)
    possession = world.stranger("phone").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    return anna.author.write(AddPatientKey, patient=anna.id, possession=possession)


@CASES.add("patient.key-removed", "LED-PAT-8", why="A lost device speaks for nobody.")
def accepts_patient_remove_key(world: World) -> bytes:
    anna, phone = world.enrol_patient("anna", custodian="hospital-a"), world.stranger("phone")
    possession = phone.prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    anna.author.submit(AddPatientKey, patient=anna.id, possession=possession)
    return phone.write(RemovePatientKey, patient=anna.id, key=anna.author.key.key_id)


@CASES.add(Reason.UNKNOWN_SIGNER, "LED-KEY-7", why="Whoever found the lost device cannot use it.")
def sign_with_a_removed_key(world: World) -> bytes:
    anna, phone = world.enrol_patient("anna", custodian="hospital-a"), world.stranger("phone")
    possession = phone.prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    anna.author.submit(AddPatientKey, patient=anna.id, possession=possession)
    phone.submit(RemovePatientKey, patient=anna.id, key=anna.author.key.key_id)
    return anna.author.write(RemovePatientKey, patient=anna.id, key=phone.key.key_id)


@CASES.add(Reason.LAST_KEY, "LED-KEY-6", why="A patient without a key could never withdraw.")
def remove_the_last_key(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    return anna.author.write(RemovePatientKey, patient=anna.id, key=anna.author.key.key_id)


@CASES.add(Reason.UNKNOWN_KEY, "LED-KEY-5", why="Only one's own keys can be removed.")
def remove_anothers_key(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    bert = world.enrol_patient("bert", custodian="hospital-a")
    return anna.author.write(RemovePatientKey, patient=anna.id, key=bert.author.key.key_id)


@CASES.add("patient.took-over", "LED-PAT-7", why="The patient comes, and holds the only key from now on.")
def accepts_patient_take_over(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a", is_custodial=True)
    possession = world.stranger("anna").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    return world.node("hospital-a").author.write(TakeOver, patient=anna.id, possession=possession)


@CASES.add(
    Reason.NOT_THE_CUSTODIAN, "LED-PAT-6", why="Only the custodian knows that it is the patient who came."
)
def take_over_at_another_member(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a", is_custodial=True)
    possession = world.stranger("anna").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    return world.node("hospital-b").author.write(TakeOver, patient=anna.id, possession=possession)


@CASES.add(
    Reason.PATIENT_NOT_CUSTODIAL, "LED-PAT-6", why="A patient's own key cannot be replaced from outside."
)
def take_over_from_a_patient(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    possession = world.stranger("thief").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    return world.node("hospital-a").author.write(TakeOver, patient=anna.id, possession=possession)
