"""A patient's own key is put in place: the custodian's code names the patient, who brings the key.

Whoever holds the code becomes that patient, so staff hand it over in person, and it ends in days. It works
once: from then on the ledger knows a key that the custodian does not hold, and refuses another take-over.
"""

from typing import ClassVar, Final

from iamata.crypto.jws import verify_jws
from iamata.ledger.entries import OwnerKind
from iamata.ledger.envelope import read_statement
from iamata.ledger.keyring import describe_subject
from iamata.ledger.rules import RULES, get_rules
from iamata.ledger.tables import PATIENTS
from iamata.ledger.transaction import Possession, Signed, Statement
from iamata.ledger.transactions.patients import EnrolPatient, TakeOver
from iamata.model.ids import MemberId, PatientId
from iamata.model.instants import MS_PER_DAY, Instant
from iamata.model.reasons import Reason, require
from iamata.ports import Finality
from iamata.workflows.author import Author
from iamata.workflows.messages import read_message
from iamata.workflows.office import Office

CODE_MS: Final = 7 * MS_PER_DAY
"""How long a patient may take to use a code."""


class EnrolmentCode(Statement):
    """A custodian lets whoever shows this bring the key of one patient."""

    typ: ClassVar[str] = "iamata-enrolment+jwt"

    member: MemberId
    patient: PatientId
    subject: str
    """What the new key's holder signs, as the rules of the day spell it: nobody new can look them up."""
    until_ms: Instant


def invite_patient(office: Office, patient: PatientId) -> str:
    """Write the code for a patient whose key we hold, or whom the ledger does not know yet."""
    view = office.take_view()
    known = PATIENTS.find(view, patient)
    require(known is None or known.custodian == office.member, Reason.NOT_THE_CUSTODIAN)
    require(known is None or not known.is_erased, Reason.PATIENT_ERASED)
    require(known is None or known.is_custodial, Reason.PATIENT_ALREADY_EXISTS)
    rules = get_rules(view, height=view.height + 1, first=office.author.engine.genesis.rules)
    code = office.author.state(
        EnrolmentCode,
        member=office.member,
        patient=patient,
        subject=describe_subject(OwnerKind.PATIENT, patient, member=office.member, rules=rules),
        until_ms=Instant(office.author.clock() + CODE_MS),
    )
    return code.text


def sign_enrolment(invited: EnrolmentCode, author: Author) -> Signed[Possession]:
    """Let a new key's holder sign what a code asks for, if that is what it says it is."""
    known = [
        describe_subject(OwnerKind.PATIENT, invited.patient, member=invited.member, rules=rules)
        for rules in RULES.values()
    ]
    require(invited.subject in known, Reason.BAD_PROOF_OF_POSSESSION, "the code asks for something else")
    return author.state(Possession, subject=invited.subject)


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
    is_held = possession.payload.subject == invited.subject
    require(is_held and verify_jws(possession.jws), Reason.BAD_PROOF_OF_POSSESSION)
    return enrol_patient(office, invited.patient, possession)


def read_enrolment_code(code: str) -> EnrolmentCode:
    """Read what a code says: which network, member and patient it is for. The member checks the rest."""
    invited: EnrolmentCode = read_statement(code.strip(), EnrolmentCode).payload
    return invited
