"""A custodian answers another member's request: decide, tell the ledger, and only then release.

Whoever may not see anything learns nothing: an unknown patient, a refusal and a missing record have one
answer. A crash between ledger and release is healed by asking again with the same request.
"""

from typing import Final

import msgspec

from iamata.crypto.merkle import hash_leaf
from iamata.ledger.bases import AnyBasis, ConsentBasis, EmergencyBasis, PolicyBasis
from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import ACCESSES, KEYS
from iamata.ledger.transactions.access import Disclose
from iamata.model.ids import AccessId, ConsentId, Digest, PatientId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.journal import JournalEntry, JournalKind, append_entries, find_entries
from iamata.vault.sharing import ReleaseContext, share
from iamata.workflows.asking import check_request
from iamata.workflows.author import NO_FINALITY
from iamata.workflows.late_posting import post_pending, tell_first
from iamata.workflows.messages import (
    AccessDetails,
    LateDetails,
    Planned,
    ReadDetails,
    ReceiptNote,
    RecordRequest,
    Release,
    ReleaseNote,
    name_request,
    read_message,
    seal_plan,
)
from iamata.workflows.office import Office
from iamata.workflows.planning import Leaving, find_plan, list_leaving

_PASSING: Final = (*NO_FINALITY, Reason.HOME_CORRUPT, Reason.CANNOT_OPEN)
"""Troubles of our own, which say nothing about what a request may see."""


def answer_request(office: Office, text: str) -> tuple[Release, ...]:
    """Release what a request may see, once for each basis, or refuse with the answer that says nothing."""
    view = office.take_view()
    message = read_message(text, RecordRequest, network=office.author.engine.network)
    try:
        asking = check_request(office, view, message)
        leaving = list_leaving(office, view, asking)
        if asking.declaration is not None:
            told = list(tell_first(office, asking.declaration, leaving))
        else:
            told = [one for one in leaving if is_announced(office, one.plan)]
        require(bool(told), Reason.NOT_FOUND)
        late_request = None if asking.declaration is None else text
        return tuple(release(office, view, one, late_request=late_request) for one in told)
    except Refused as refused:
        if refused.reason in _PASSING:
            raise Refused(refused.reason) from refused
        raise Refused(Reason.NOT_FOUND) from refused


def is_announced(office: Office, plan: Planned) -> bool:
    """Tell the ledger, unless it knows already; it refuses unless the basis stands in that very block."""
    details, commitment = plan.details, plan.commit()
    known = ACCESSES.find(office.take_view(), details.access)
    if known is not None:
        return known.commitment == commitment
    try:
        post_pending(office)  # what left without the ledger comes before anything else
        office.author.submit(
            Disclose,
            access=details.access,
            patient=details.patient,
            basis=read_basis(details.basis),
            commitment=commitment,
        )
    except Refused as refused:
        if refused.reason in _PASSING:
            raise
        return False
    return True


def release(
    office: Office, view: LedgerView, leaving: Leaving, *, late_request: str | None = None
) -> Release:
    """Seal to the recipient's node what the ledger was told of, or, late, what both nodes have signed."""
    details = leaving.plan.details
    context = ReleaseContext(
        access=details.access,
        custodian=office.member,
        recipient=details.recipient,
        list_root=details.list_root,
    )
    key = office.get_member(view, details.recipient).sealing_key
    ciphertext = share(office.custody, leaving.permit, leaving.listed, context=context, key=key)
    plan = seal_plan(leaving.plan, context=context, key=key)
    note = office.author.state(
        ReleaseNote,
        access=details.access,
        recipient=details.recipient,
        list_root=details.list_root,
        ciphertext=Digest(encode_digest(hash_leaf(ciphertext))),
        plan=Digest(encode_digest(hash_leaf(plan))),
        request=msgspec.UNSET if late_request is None else name_request(late_request),
    )
    entry = describe_entry(
        office, JournalKind.RELEASE, details.patient, details.access, note.text.encode("ascii")
    )
    late = [] if late_request is None else describe_late(office, details, late_request, note.text)
    append_entries(office.custody, [*late, entry, *tell_others(office, leaving)])
    return Release(note=note.text, ciphertext=ciphertext, plan=plan, height=office.take_view().height)


def describe_late(office: Office, details: AccessDetails, request: str, note: str) -> list[JournalEntry]:
    """Put, once for each access, on whose signatures records leave before the ledger may know of it."""
    kinds = [entry.header.kind for entry in find_entries(office.custody, details.access)]
    if JournalKind.LATE in kinds:
        return []
    payload = msgspec.json.encode(LateDetails(request=request, note=note))
    return [describe_entry(office, JournalKind.LATE, details.patient, details.access, payload)]


def tell_others(office: Office, leaving: Leaving) -> list[JournalEntry]:
    """Put, for each other patient whose records leave with this one's, that they do, and on whose word.

    The ledger is told under one pseudonym only: two in one block would say that the two belong together.
    """
    details = leaving.plan.details
    return [
        describe_entry(
            office,
            JournalKind.READ,
            permit.patient,
            AccessId(office.author.make_id()),
            msgspec.json.encode(
                ReadDetails(
                    person=details.person,
                    purpose=details.purpose,
                    basis=f"policy/{permit.policy}"
                    if permit.consent is None
                    else f"consent/{permit.consent}",
                    records=permit.records,
                    recipient=details.recipient,
                )
            ),
        )
        for permit in leaving.permit.others
    ]


def accept_receipt(office: Office, text: str) -> None:
    """Keep a recipient's word, once, that it has opened a release; whoever else speaks is told nothing."""
    view, network = office.take_view(), office.author.engine.network
    message = read_message(text, ReceiptNote, network=network)
    receipt: ReceiptNote = message.payload
    plan, signer = find_plan(office, receipt.access), KEYS.find(view, message.key)
    if plan is None or signer is None:
        raise Refused(Reason.NOT_FOUND)
    is_from_recipient = (signer.kind, signer.owner) == (OwnerKind.MEMBER, plan.details.recipient)
    entries = find_entries(office.custody, receipt.access)
    released = [
        read_message(entry.payload.decode("ascii"), ReleaseNote, network=network).payload.ciphertext
        for entry in entries
        if entry.header.kind is JournalKind.RELEASE
    ]
    require(is_from_recipient and receipt.ciphertext in released, Reason.NOT_FOUND)
    if not any(entry.header.kind is JournalKind.RECEIPT for entry in entries):
        patient, payload = plan.details.patient, text.encode("ascii")
        entry = describe_entry(office, JournalKind.RECEIPT, patient, receipt.access, payload)
        append_entries(office.custody, [entry])


def read_basis(text: str) -> AnyBasis:
    """Read what `describe_basis` wrote."""
    kind, _, basis_id = text.partition("/")
    if kind == "consent":
        return ConsentBasis(ConsentId(basis_id))
    return EmergencyBasis(AccessId(basis_id)) if kind == "emergency" else PolicyBasis()


def describe_entry(
    office: Office, kind: JournalKind, patient: PatientId, entry_id: AccessId, payload: bytes
) -> JournalEntry:
    """Put what happened as the journal keeps it."""
    return JournalEntry(
        kind=kind,
        patient=patient,
        id=entry_id,
        time_ms=office.tell_time(office.take_view()),
        payload=payload,
    )
