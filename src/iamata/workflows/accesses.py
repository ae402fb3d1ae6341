"""Who looked: a patient asks a custodian, and checks every answer against the ledger without believing anyone."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from iamata.ledger.genesis import Genesis
from iamata.ledger.receipts import StateProof, check_state_proof
from iamata.ledger.tables import ACCESSES, PATIENTS, READ_ANCHORS
from iamata.model.ids import AccessId, Commitment, MemberId, decode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.anchoring import AnchorProof, is_proven, prove_anchored
from iamata.vault.journal import EntryHeader, JournalKind, OpenedEntry, commit_entry, read_entries
from iamata.workflows.messages import AccessListRequest, ReadDetails, read_message, read_plan
from iamata.workflows.office import Office

SHOWN: Final = (JournalKind.READ, JournalKind.DISCLOSURE, JournalKind.EMERGENCY, JournalKind.RECEIPT)


class AccessProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One journal entry about a patient, opened, with what ties it to the ledger."""

    header: EntryHeader
    payload: bytes
    salt: bytes
    anchor: AnchorProof | None
    """The way from the entry to the anchor of its batch; None until the batch is anchored."""
    anchor_state: StateProof | None
    access_state: StateProof | None
    """Of a disclosure: what the ledger says of it, or that it says nothing and no record left."""


class CheckedAccess(msgspec.Struct, frozen=True, kw_only=True):
    """An access in the patient's own words, and how far the ledger bears it out."""

    kind: JournalKind
    at_ms: Instant
    custodian: MemberId
    access: AccessId
    recipient: MemberId
    person: str
    purpose: str
    basis: str
    records: int
    is_proven: bool
    """The ledger binds the custodian to this entry."""
    is_released: bool
    """Records were shown, or left."""
    is_confirmed: bool
    """The recipient has confirmed them; what stays inside needs no confirmation."""


def list_accesses(office: Office, text: str) -> tuple[AccessProof, ...]:
    """Tell a patient who looked, each entry with its proof; nobody else, and nothing to strangers."""
    view = office.take_view()
    message = read_message(text, AccessListRequest, network=office.author.engine.network)
    request: AccessListRequest = message.payload
    patient = PATIENTS.find(view, request.patient)
    is_asked_by_patient = patient is not None and message.key in patient.keys
    require(request.custodian == office.member and is_asked_by_patient, Reason.NOT_FOUND)
    require(office.tell_time(view) <= request.expires_ms, Reason.EXPIRED)
    entries = [one for one in read_entries(office.custody, request.patient) if one.header.kind in SHOWN]
    return tuple(prove_access(office, view, entry) for entry in entries)


def prove_access(office: Office, view: LedgerView, entry: OpenedEntry) -> AccessProof:
    """Tie one entry to the ledger."""
    anchor, anchor_state, access_state = find_anchor_proof(office, entry), None, None
    if anchor is not None:
        anchor_state = view.prove_entry(READ_ANCHORS.key(anchor.anchor))
    if entry.header.kind is JournalKind.DISCLOSURE:
        access_state = view.prove_entry(ACCESSES.key(entry.header.id))
    return AccessProof(
        header=entry.header,
        payload=entry.payload,
        salt=entry.salt,
        anchor=anchor,
        anchor_state=anchor_state,
        access_state=access_state,
    )


def find_anchor_proof(office: Office, entry: OpenedEntry) -> AnchorProof | None:
    """Return the way to an entry's anchor, None while the ledger has none."""
    if entry.header.sequence > office.custody.journal.read_head().settled:
        return None
    return prove_anchored(office.custody.journal, entry.header.sequence)


def check_accesses(
    proofs: Sequence[AccessProof], genesis: Genesis, *, custodian: MemberId
) -> Iterator[CheckedAccess]:
    """Check what a custodian said, in the wallet: no proof that fails is ever shown as if it held."""
    receipts = {proof.header.id for proof in proofs if proof.header.kind is JournalKind.RECEIPT}
    for proof in proofs:
        if proof.header.kind is JournalKind.DISCLOSURE:
            yield check_disclosure(proof, genesis, is_confirmed=proof.header.id in receipts)
        elif proof.header.kind is JournalKind.READ:
            details = msgspec.json.decode(proof.payload, type=ReadDetails)
            yield CheckedAccess(
                kind=JournalKind.READ,
                at_ms=proof.header.time_ms,
                custodian=custodian,
                access=proof.header.id,
                recipient=custodian,
                person=details.person,
                purpose=details.purpose,
                basis=details.basis,
                records=len(details.records),
                is_proven=is_anchored(proof, genesis),
                is_released=True,
                is_confirmed=True,
            )


def check_disclosure(proof: AccessProof, genesis: Genesis, *, is_confirmed: bool) -> CheckedAccess:
    """Check that the ledger was told of just this recipient, purpose and list of records."""
    planned = read_plan(proof.payload)
    details = planned.details
    known = None if proof.access_state is None else check_state_proof(proof.access_state, genesis)
    if known is not None and proof.access_state is not None:
        access = ACCESSES.decoder.decode(known.encode("utf-8"))
        is_same = proof.access_state.key == ACCESSES.key(details.access).decode("ascii")
        is_same = is_same and access.commitment == planned.commit() and access.patient == details.patient
        require(is_same, Reason.FAULT_FOUND, f"access {details.access} is not what the ledger was told")
    return CheckedAccess(
        kind=JournalKind.DISCLOSURE,
        at_ms=details.at_ms,
        custodian=details.custodian,
        access=details.access,
        recipient=details.recipient,
        person=details.person,
        purpose=details.purpose,
        basis=details.basis,
        records=len(details.records),
        is_proven=known is not None,
        is_released=known is not None,
        is_confirmed=is_confirmed,
    )


def is_anchored(proof: AccessProof, genesis: Genesis) -> bool:
    """Tell whether the ledger binds the custodian to an entry; refuse a proof that does not hold."""
    if proof.anchor is None or proof.anchor_state is None:
        return False
    entry = OpenedEntry(header=proof.header, payload=proof.payload, salt=proof.salt, commitment=Commitment(""))
    anchored = check_state_proof(proof.anchor_state, genesis)
    is_key = proof.anchor_state.key == READ_ANCHORS.key(proof.anchor.anchor).decode("ascii")
    if anchored is None or not is_key:
        raise Refused(Reason.FAULT_FOUND, "the anchor of a read is not on the ledger")
    root = decode_digest(READ_ANCHORS.decoder.decode(anchored.encode("utf-8")).root)
    require(
        is_proven(proof.anchor, decode_digest(commit_entry(entry)), root=root),
        Reason.FAULT_FOUND,
        f"journal entry {proof.header.sequence} is not under its anchor",
    )
    return True
