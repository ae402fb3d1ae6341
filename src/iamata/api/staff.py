"""What this member's own staff ask of their node: codes for patients, and records from elsewhere."""

import re

from iamata.api.callers import Caller
from iamata.api.serving import Serving
from iamata.ledger.tables import EMERGENCIES
from iamata.model.ids import RANDOM_PATTERN, AccessId, MemberId, PatientId
from iamata.model.reasons import Reason, Refused, require
from iamata.wire import bodies
from iamata.workflows import enrolments, receiving
from iamata.workflows.share_codes import expand

PATIENT_REFERENCE = "Patient/"


def invite_patient(serving: Serving, body: bodies.InvitationBody) -> bodies.Invitation:
    """Write the code with which a patient puts a key of their own in place."""
    office = serving.office
    named = body.patient
    patient = PatientId(office.author.make_id()) if named is None else read_patient(serving, named)
    return bodies.Invitation(code=enrolments.invite_patient(office, patient))


def search_elsewhere(serving: Serving, body: bodies.StaffSearchBody) -> bodies.Found:
    """Hand a person's signed search in an emergency to the custodian that it names."""
    return bodies.Found(patient=serving.get_desk(body.custodian).find_in_emergency(body.search))


def fetch_records(serving: Serving, caller: Caller, body: bodies.ReadingBody) -> bodies.Reading:
    """Ask another member for records on the caller's behalf, and open what it releases."""
    custodian, request = _write_request(serving, caller, body)
    desk, height = serving.get_desk(custodian), serving.office.take_view().height
    arrived = receiving.fetch(
        serving.office,
        request,
        custodian=custodian,
        person=caller.person,
        answer=lambda text: desk.answer_request(text, height=height),
    )
    return bodies.Reading(custodian=custodian, arrivals=tuple(map(bodies.Arrival.write, arrived)))


def confirm_records(serving: Serving, body: bodies.ConfirmationBody) -> bodies.Nothing:
    """Hand receipts that this node signed to the custodian, now that the records are kept."""
    desk = serving.get_desk(body.custodian)
    for receipt in body.receipts:
        desk.accept_receipt(receipt)
    return bodies.Nothing()


def read_patient(serving: Serving, text: str) -> PatientId:
    """Return the pseudonym of the patient whom a record's reference or a pseudonym means."""
    if text.startswith(PATIENT_REFERENCE):
        return serving.office.compute_pseudonym(text)
    require(re.match(RANDOM_PATTERN, text) is not None, Reason.INPUT_INVALID, "the patient")
    return PatientId(text)


def _write_request(serving: Serving, caller: Caller, body: bodies.ReadingBody) -> tuple[MemberId, str]:
    office = serving.office
    pointers = [one for one in (body.share, body.emergency, body.declaration) if one is not None]
    require(len(pointers) == 1, Reason.INPUT_INVALID, "share, emergency or declaration")
    if body.share is not None:
        custodian, statement = expand(office.author.engine, body.share, recipient=office.member)
        return custodian, receiving.ask_with_share(
            office, custodian=custodian, person=caller.person, purpose=body.purpose, share=statement
        )
    if body.declaration is not None:
        return receiving.ask_late(
            office, person=caller.person, purpose=body.purpose, declaration=body.declaration
        )
    emergency = AccessId(str(body.emergency))
    entry = EMERGENCIES.find(office.take_view(), emergency)
    if entry is None:
        raise Refused(Reason.UNKNOWN_EMERGENCY, emergency)
    return entry.custodian, receiving.ask_in_emergency(
        office, custodian=entry.custodian, person=caller.person, purpose=body.purpose, emergency=emergency
    )
