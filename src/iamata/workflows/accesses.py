"""Who looked: a patient asks a custodian, and checks every answer against the ledger, believing nobody."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from iamata.crypto.jws import verify_jws
from iamata.ledger.entries import Entry, OwnerKind
from iamata.ledger.envelope import read_statement
from iamata.ledger.events import AccessDisclosed, EmergencyPostedLate
from iamata.ledger.genesis import Genesis
from iamata.ledger.receipts import StateProof, check_checkpoint, check_state_proof
from iamata.ledger.tables import ACCESSES, KEYS, PATIENTS, READ_ANCHORS, TableSpec
from iamata.model.ids import AccessId, Commitment, MemberId, PatientId, decode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Engine, LedgerView
from iamata.vault.anchoring import AnchorProof, is_proven, prove_anchored
from iamata.vault.journal import EntryHeader, JournalKind, OpenedEntry, commit_entry, read_entries
from iamata.workflows.late_evidence import check_evidence
from iamata.workflows.messages import (
    AccessListRequest,
    LateDetails,
    Planned,
    ReadDetails,
    ReceiptNote,
    SearchDetails,
    read_details,
    read_message,
    read_plan,
)
from iamata.workflows.office import Office

SHOWN: Final = (
    JournalKind.READ,
    JournalKind.DISCLOSURE,
    JournalKind.EMERGENCY,
    JournalKind.RECEIPT,
    JournalKind.LATE,
)
BREAK_GLASS: Final = "BTG"
"""The purpose (v3-ActReason) of every search by demographics."""

USES: Final = ("study", "dataset", "run", "model")
"""What a patient's row or record is used for, as `used` names it: KIND/ID."""

EntryT = TypeVar("EntryT", bound=Entry)


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
    key_state: StateProof | None = None
    """Of a receipt: whose key signed it."""


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
    """How many records were read, or left."""
    used: tuple[str, ...] = ()
    """For which study, dataset, run or model they, or the patient's row, were used: KIND/ID."""
    is_proven: bool
    """The ledger binds the custodian to this entry."""
    is_released: bool
    """Records were shown, or left, unless the ledger proves that they did not."""
    is_confirmed: bool
    """The recipient has confirmed them; what stays inside needs no confirmation."""
    is_late: bool = False
    """They left in an emergency before the ledger was told, which gave no finality."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a wallet holds a custodian's answer against."""

    genesis: Genesis
    custodian: MemberId
    patient: PatientId | None
    height_min: int
    """A proof of an older ledger than this says nothing about today."""


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
    anchor, kind = find_anchor_proof(office, entry), entry.header.kind
    anchor_state, access_state, key_state = None, None, None
    if anchor is not None:
        anchor_state = view.prove_entry(READ_ANCHORS.key(anchor.anchor))
    if kind is JournalKind.DISCLOSURE:
        access_state = view.prove_entry(ACCESSES.key(entry.header.id))
    elif kind is JournalKind.RECEIPT:
        signer = read_statement(entry.payload.decode("ascii"), ReceiptNote).key
        key_state = view.prove_entry(KEYS.key(signer))
    return AccessProof(
        header=entry.header,
        payload=entry.payload,
        salt=entry.salt,
        anchor=anchor,
        anchor_state=anchor_state,
        access_state=access_state,
        key_state=key_state,
    )


def find_anchor_proof(office: Office, entry: OpenedEntry) -> AnchorProof | None:
    """Return the way to an entry's anchor, None while the ledger has none."""
    if entry.header.sequence > office.custody.journal.read_head().settled:
        return None
    return prove_anchored(office.custody.journal, entry.header.sequence)


def list_disclosed(engine: Engine, patient: PatientId) -> list[AccessId]:
    """List what the ledger itself says was disclosed of a patient: no custodian may be silent about it."""
    return [
        leaf.event.access
        for _, leaf in engine.events(0)
        if isinstance(leaf.event, AccessDisclosed | EmergencyPostedLate) and leaf.event.patient == patient
    ]


def check_accesses(  # noqa: PLR0913  what was said, and all that it is held against
    proofs: Sequence[AccessProof],
    genesis: Genesis,
    *,
    custodian: MemberId,
    patient: PatientId | None = None,
    disclosed: Collection[AccessId] = (),
    height_min: int = 0,
) -> Iterator[CheckedAccess]:
    """Check what a custodian said, in the wallet: no proof that fails is ever shown as if it held."""
    claims = Claims(genesis=genesis, custodian=custodian, patient=patient, height_min=height_min)
    named = [proof.header.id for proof in proofs if proof.header.kind is JournalKind.DISCLOSURE]
    silent = [access for access in disclosed if access not in named]
    require(not silent, Reason.FAULT_FOUND, f"{custodian} is silent about {', '.join(silent)}")
    for proof in proofs:
        is_about_patient = patient is None or proof.header.patient == patient
        require(is_about_patient, Reason.FAULT_FOUND, f"{proof.header.id} is about somebody else")
        if proof.header.kind is JournalKind.DISCLOSURE:
            yield check_disclosure(proof, proofs, claims)
        elif proof.header.kind is JournalKind.READ:
            yield check_read(proof, claims)
        elif proof.header.kind is JournalKind.EMERGENCY:
            yield check_search(proof, claims)


def check_disclosure(proof: AccessProof, proofs: Sequence[AccessProof], claims: Claims) -> CheckedAccess:
    """Check that the ledger was told of just this recipient, purpose and list of records."""
    planned = read_plan(proof.payload)
    details = planned.details
    known = None
    if proof.access_state is not None:
        known = check_entry(proof.access_state, ACCESSES, details.access, claims)
        is_same = (proof.header.id, proof.header.patient) == (details.access, details.patient)
        if known is not None:
            said = (known.commitment, known.patient, known.custodian)
            is_same = is_same and said == (planned.commit(), details.patient, claims.custodian)
        require(is_same, Reason.FAULT_FOUND, f"access {details.access} is not what the ledger was told")
    is_late = any(is_late_release(other, planned) for other in proofs)
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
        is_released=known is not None or proof.access_state is None or is_late,
        is_confirmed=any(is_receipt(other, planned, claims) for other in proofs),
        is_late=is_late or (known is not None and known.is_late),
    )


def check_read(proof: AccessProof, claims: Claims) -> CheckedAccess:
    """Check a read by the custodian's own staff, or of a copy that left as another patient's."""
    details = read_details(proof.payload, ReadDetails)
    used = tuple(one for one in details.records if one.partition("/")[0] in USES)
    return CheckedAccess(
        kind=JournalKind.READ,
        at_ms=proof.header.time_ms,
        custodian=claims.custodian,
        access=proof.header.id,
        recipient=claims.custodian if details.recipient is msgspec.UNSET else details.recipient,
        person=details.person,
        purpose=details.purpose,
        basis=details.basis,
        records=len(details.records) - len(used),
        used=used,
        is_proven=is_anchored(proof, claims),
        is_released=True,
        is_confirmed=True,
    )


def check_search(proof: AccessProof, claims: Claims) -> CheckedAccess:
    """Check a search by demographics that found the patient: no record was shown, but somebody asked."""
    details = read_details(proof.payload, SearchDetails)
    return CheckedAccess(
        kind=JournalKind.EMERGENCY,
        at_ms=proof.header.time_ms,
        custodian=claims.custodian,
        access=proof.header.id,
        recipient=details.member,
        person=details.person,
        purpose=BREAK_GLASS,
        basis="search",
        records=0,
        is_proven=is_anchored(proof, claims),
        is_released=False,
        is_confirmed=True,
    )


def is_late_release(proof: AccessProof, planned: Planned) -> bool:
    """Tell whether an entry shows that a disclosure left late; refuse one that shows something else."""
    details = planned.details
    if proof.header.kind is not JournalKind.LATE or proof.header.id != details.access:
        return False
    check_evidence(read_details(proof.payload, LateDetails), details)
    return True


def is_receipt(proof: AccessProof, planned: Planned, claims: Claims) -> bool:
    """Tell whether an entry holds the recipient's own word that a disclosure arrived."""
    if proof.header.kind is not JournalKind.RECEIPT or proof.header.id != planned.details.access:
        return False
    receipt = read_statement(proof.payload.decode("ascii", "replace"), ReceiptNote)
    if proof.key_state is None or receipt.payload.access != planned.details.access:
        return False
    owner = check_entry(proof.key_state, KEYS, receipt.key, claims)
    if owner is None or (owner.kind, owner.owner) != (OwnerKind.MEMBER, planned.details.recipient):
        return False
    return verify_jws(receipt.jws)


def is_anchored(proof: AccessProof, claims: Claims) -> bool:
    """Tell whether the ledger binds the custodian to an entry; refuse a proof that does not hold."""
    if proof.anchor is None or proof.anchor_state is None:
        return False
    entry = OpenedEntry(
        header=proof.header, payload=proof.payload, salt=proof.salt, commitment=Commitment("")
    )
    anchor = check_entry(proof.anchor_state, READ_ANCHORS, proof.anchor.anchor, claims)
    if anchor is None or anchor.custodian != claims.custodian:
        raise Refused(Reason.FAULT_FOUND, "the anchor of a read is not on the ledger")
    require(
        is_proven(proof.anchor, decode_digest(commit_entry(entry)), root=decode_digest(anchor.root)),
        Reason.FAULT_FOUND,
        f"journal entry {proof.header.sequence} is not under its anchor",
    )
    return True


def check_entry(state: StateProof, table: TableSpec[EntryT], key: str, claims: Claims) -> EntryT | None:
    """Return what the ledger holds in a table under a key, None where it proves that it holds nothing."""
    require(state.key == table.key(key).decode("ascii"), Reason.FAULT_FOUND, "a proof of something else")
    height = check_checkpoint(state.checkpoint, claims.genesis).height if claims.height_min else 0
    require(height >= claims.height_min, Reason.FAULT_FOUND, "a proof of an older ledger")
    value = check_state_proof(state, claims.genesis)
    return None if value is None else table.decoder.decode(value.encode("utf-8"))
