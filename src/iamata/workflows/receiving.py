"""A member asks another one for records on behalf of a person of its staff, and opens what it gets."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from iamata.consent.labels import SUBSTANCE_USE
from iamata.consent.permits import Obligation
from iamata.crypto.merkle import hash_leaf
from iamata.ledger.bases import EmergencyBasis, describe_basis
from iamata.ledger.envelope import read_statement
from iamata.ledger.tables import ACCESSES, MEMBERS
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.late_emergencies import LateDeclaration
from iamata.model.ids import AccessId, Digest, MemberId, PersonId, encode_digest
from iamata.model.instants import MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.vault.sharing import ReleaseContext, SharedRecord, open_release
from iamata.workflows.messages import (
    Planned,
    ReceiptNote,
    RecordRequest,
    Release,
    ReleaseNote,
    name_request,
    open_plan,
    read_declaration,
    read_message,
)
from iamata.workflows.office import Office

REQUEST_MS: Final = 5 * MS_PER_MINUTE


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Records that arrived, and the receipt to send back."""

    access: AccessId
    custodian: MemberId
    records: tuple[SharedRecord, ...]
    obligations: tuple[Obligation, ...]
    """What must stay with some of the records wherever they go."""
    receipt: str


def ask_with_share(
    office: Office, *, custodian: MemberId, person: PersonId, purpose: str, share: str
) -> str:
    """Write a request that shows the patient's share code."""
    return _ask(office, custodian=custodian, person=person, purpose=purpose, share=share)


def ask_in_emergency(
    office: Office, *, custodian: MemberId, person: PersonId, purpose: str, emergency: AccessId
) -> str:
    """Write a request that shows the emergency which the person has declared."""
    return _ask(office, custodian=custodian, person=person, purpose=purpose, emergency=emergency)


def ask_late(office: Office, *, person: PersonId, purpose: str, declaration: str) -> tuple[MemberId, str]:
    """Write a request that shows what the person has signed without the ledger; it names the custodian."""
    custodian = read_statement(declaration, LateDeclaration).payload.custodian
    return custodian, _ask(
        office, custodian=custodian, person=person, purpose=purpose, declaration=declaration
    )


def fetch(
    office: Office,
    request: str,
    *,
    custodian: MemberId,
    person: PersonId,
    answer: Callable[[str], Sequence[Release]],
) -> list[Received]:
    """Hand a request to its custodian, and open what it releases."""
    return [
        receive(office, one, custodian=custodian, person=person, request=request) for one in answer(request)
    ]


def receive(
    office: Office,
    release: Release,
    *,
    custodian: MemberId,
    person: PersonId,
    request: str | None = None,
) -> Received:
    """Open a release, check it against its sender's signature and the ledger, journal who is shown it.

    A late one is held against our own request instead, where the ledger does not know of it yet.
    """
    note = read_message(release.note, ReleaseNote, network=office.author.engine.network)
    said: ReleaseNote = note.payload
    view = office.await_height(release.height)
    sender = MEMBERS.find(view, custodian)
    require(sender is not None and note.key == sender.signing_key, Reason.NOT_THE_CUSTODIAN)
    require(said.recipient == office.member, Reason.UNKNOWN_RECIPIENT)
    is_signed = (said.ciphertext, said.plan) == (_name(release.ciphertext), _name(release.plan))
    require(is_signed, Reason.CANNOT_OPEN, "not the ciphertext that was signed")
    context = ReleaseContext(
        access=said.access, custodian=custodian, recipient=office.member, list_root=said.list_root
    )
    plan = open_plan(office.sealing_key, release.plan, context=context)
    check_plan(view, plan, context=context, person=person, late=find_late_request(said, request))
    records = tuple(open_release(office.sealing_key, release.ciphertext, context=context))
    check_obligations(records, plan.details.obligations)
    signed = {} if said.request is msgspec.UNSET else {"request": str(request), "note": release.note}
    journal_serving(office, plan, person=person, records=len(records), signed=signed)
    receipt = office.author.state(ReceiptNote, access=said.access, ciphertext=said.ciphertext)
    return Received(
        access=said.access,
        custodian=custodian,
        records=records,
        obligations=plan.details.obligations,
        receipt=receipt.text,
    )


def journal_serving(
    office: Office, plan: Planned, *, person: PersonId, records: int, signed: dict[str, str]
) -> None:
    """Make durable who is shown what arrived.

    Of a late release with what both nodes have `signed`, to be shown should the custodian never post it.
    """
    details = plan.details
    said = {"person": person, "custodian": details.custodian, "records": records, **signed}
    entry = JournalEntry(
        kind=JournalKind.SERVE,
        patient=details.patient,
        id=details.access,
        time_ms=office.tell_time(office.take_view()),
        payload=msgspec.json.encode(said),
    )
    append_entries(office.custody, [entry])


def find_late_request(note: ReleaseNote, request: str | None) -> Signed[RecordRequest] | None:
    """Return the request that a late release answers, None for any other; refuse one that was not ours."""
    if note.request is msgspec.UNSET:
        return None
    is_ours = request is not None and note.request == name_request(request)
    if request is None or not is_ours:
        raise Refused(Reason.UNKNOWN_ACCESS, "a late release that answers another request")
    return read_statement(request, RecordRequest)


def check_plan(
    view: LedgerView,
    plan: Planned,
    *,
    context: ReleaseContext,
    person: PersonId,
    late: Signed[RecordRequest] | None,
) -> None:
    """Refuse unless the ledger was told just this before it left, and this person asked for it.

    What answers our late request may come before the ledger; but it says so, and rests on nothing else.
    """
    details, access = plan.details, ACCESSES.find(view, context.access)
    if late is not None:
        check_late_plan(plan, late, context=context)
    if access is None and late is not None:
        require(details.person == person, Reason.NOT_THE_PERSON, "somebody else asked for it")
        return
    if access is None or access.commitment != plan.commit():
        raise Refused(Reason.UNKNOWN_ACCESS, "the ledger does not know this disclosure")
    said = (details.access, details.custodian, details.recipient, details.list_root)
    meant = (context.access, context.custodian, context.recipient, context.list_root)
    is_same = said == meant and (access.custodian, access.patient) == (context.custodian, details.patient)
    require(is_same, Reason.UNKNOWN_ACCESS, "the ledger was told of another disclosure")
    require(details.person == person, Reason.NOT_THE_PERSON, "somebody else asked for it")


def check_late_plan(plan: Planned, late: Signed[RecordRequest], *, context: ReleaseContext) -> None:
    """Refuse a late release about anybody, or on any basis, but what our request's declaration names."""
    details = plan.details
    declared = read_declaration(late).payload
    said = (details.access, details.custodian, details.recipient, details.list_root)
    meant = (context.access, context.custodian, context.recipient, context.list_root)
    is_same = said == meant and (details.patient, details.purpose) == (
        declared.patient,
        late.payload.purpose,
    )
    is_same = is_same and details.basis == describe_basis(EmergencyBasis(declared.emergency))
    require(is_same, Reason.UNKNOWN_ACCESS, "a late release of something else")


def check_obligations(records: Sequence[SharedRecord], obligations: Sequence[Obligation]) -> None:
    """Refuse substance use records without the notice that 42 CFR 2.32 wants to travel with them."""
    noticed = dict.fromkeys(record for obligation in obligations for record in obligation.records)
    for record in records:
        facts = record.read_header().facts
        is_protected = any(label in SUBSTANCE_USE for label in facts.labels)
        require(not is_protected or facts.record in noticed, Reason.CANNOT_OPEN, "a notice is missing")


def _ask(office: Office, *, custodian: MemberId, person: PersonId, purpose: str, **pointer: str) -> str:
    message = office.author.state(
        RecordRequest,
        access=AccessId(office.author.make_id()),
        custodian=custodian,
        person=person,
        purpose=purpose,
        expires_ms=Instant(office.author.clock() + REQUEST_MS),
        **pointer,
    )
    return message.text


def _name(blob: bytes) -> Digest:
    return Digest(encode_digest(hash_leaf(blob)))
