"""A patient's own key is put in place: the custodian's code names the patient, who brings the key.

Whoever holds the code becomes that patient, so staff hand it over in person, and it ends in days. It works
once: from then on the ledger knows a key that the custodian does not hold, and refuses another take-over.
"""

from typing import ClassVar, Final

from iamata.crypto.jws import verify_jws
from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import PATIENTS
from iamata.ledger.transaction import Possession, Signed, Statement
from iamata.ledger.transactions.patients import EnrolPatient, TakeOver
from iamata.model.ids import MemberId, PatientId
from iamata.model.instants import MS_PER_DAY, Instant
from iamata.model.reasons import Reason, require
from iamata.ports import Finality
from iamata.workflows.messages import read_message
from iamata.workflows.office import Office

CODE_MS: Final = 7 * MS_PER_DAY
"""How long a patient may take to use a code."""


class EnrolmentCode(Statement):
    """A custodian lets whoever shows this bring the key of one patient."""

    typ: ClassVar[str] = "iamata-enrolment+jwt"

    member: MemberId
    patient: PatientId
    until_ms: Instant


def invite_patient(office: Office, patient: PatientId) -> str:
    """Write the code for a patient whose key we hold, or whom the ledger does not know yet."""
    known = PATIENTS.find(office.take_view(), patient)
    require(known is None or known.custodian == office.member, Reason.NOT_THE_CUSTODIAN)
    require(known is None or not known.is_erased, Reason.PATIENT_ERASED)
    require(known is None or known.is_custodial, Reason.PATIENT_NOT_CUSTODIAL)
    until_ms = Instant(office.author.clock() + CODE_MS)
    code = office.author.state(EnrolmentCode, member=office.member, patient=patient, until_ms=until_ms)
    return code.text


def enrol_patient(office: Office, patient: PatientId, possession: Signed[Possession]) -> Finality:
    """Put a patient's own key in place: enrol, or take over from us who held one."""
    known = PATIENTS.find(office.take_view(), patient)
    require(
        known is None or known.is_custodial,
        Reason.PATIENT_ALREADY_EXISTS,
        "the patient holds a key already",
    )
    kind = EnrolPatient if known is None else TakeOver
    return office.author.submit(kind, patient=patient, possession=possession)


def accept_enrolment(office: Office, code: str, possession: Signed[Possession]) -> Finality:
    """Let the key of whoever shows a code of ours speak for the patient whom it names."""
    message = read_message(code, EnrolmentCode, network=office.author.engine.network)
    invited: EnrolmentCode = message.payload
    is_ours = (invited.member, message.key) == (office.member, office.author.key.key_id)
    require(is_ours, Reason.NOT_THE_CUSTODIAN, "not a code of ours")
    require(office.author.clock() <= invited.until_ms, Reason.EXPIRED)
    is_held = possession.payload.subject == f"{OwnerKind.PATIENT}/{invited.patient}"
    require(is_held and verify_jws(possession.jws), Reason.BAD_PROOF_OF_POSSESSION)
    return enrol_patient(office, invited.patient, possession)
