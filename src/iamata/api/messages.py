"""What other members, their staff and patients ask of this one: each route is one use case."""

from iamata.api.callers import Caller
from iamata.api.serving import Serving
from iamata.ledger.envelope import read_statement
from iamata.ledger.transaction import Possession
from iamata.model.ids import PatientId
from iamata.ports import Finality
from iamata.wire import bodies
from iamata.workflows import accesses, consents, disclosures, emergencies, enrolments


def answer_request(serving: Serving, body: bodies.RequestBody) -> bodies.Releases:
    """Release what a member's signed request may see; whatever may not be seen is not found."""
    serving.office.await_height(body.height)
    return bodies.Releases(releases=disclosures.answer_request(serving.office, body.request))


def accept_receipt(serving: Serving, body: bodies.ReceiptBody) -> bodies.Nothing:
    """Keep a recipient's signed word that a release arrived."""
    disclosures.accept_receipt(serving.office, body.receipt)
    return bodies.Nothing()


def find_in_emergency(serving: Serving, body: bodies.SearchBody) -> bodies.Found:
    """Find one patient for a privileged person who says why; it is journalled."""
    return bodies.Found(patient=emergencies.find_in_emergency(serving.office, body.search))


def accept_grant(serving: Serving, body: bodies.GrantBody) -> Finality:
    """Countersign a patient's grant, which binds this member to its terms."""
    return consents.accept_grant(serving.office, body.grant, body.salted)


def accept_restriction(serving: Serving, caller: Caller, body: bodies.RestrictionBody) -> bodies.Nothing:
    """Keep the opening of a restriction that the caller has put on the ledger."""
    consents.accept_restriction(serving.office, PatientId(caller.owner), body.salted)
    return bodies.Nothing()


def list_unconfirmed(serving: Serving, caller: Caller) -> bodies.Unconfirmed:
    """List what this member signed for the caller, who has not made it their own yet."""
    waiting = consents.list_unconfirmed(serving.office, PatientId(caller.owner))
    return bodies.Unconfirmed(consents=tuple(waiting))


def list_accesses(serving: Serving, body: bodies.AccessListBody) -> bodies.AccessList:
    """Tell a patient who looked, each entry with its proof."""
    return bodies.AccessList(accesses=accesses.list_accesses(serving.office, body.request))


def accept_enrolment(serving: Serving, body: bodies.EnrolmentBody) -> Finality:
    """Let the key of whoever shows a code of ours speak for the patient whom it names."""
    possession = read_statement(body.possession, Possession)
    return enrolments.accept_enrolment(serving.office, body.code, possession)
