"""Records: committed to in batches, and erased with a trace."""

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import Erasure, RecordAnchor
from iamata.ledger.events import RecordsAnchored, RecordsErased
from iamata.ledger.transaction import Count, CountOrNone, Transaction
from iamata.model.ids import AnchorId, Commitment, Digest, PatientId
from iamata.model.reasons import Reason, require


class AnchorRecords(Transaction, tag="records.anchor"):
    """Commit to a batch of records by the root of the Merkle tree over their commitments."""

    anchor: AnchorId
    root: Digest
    count: Count


class EraseRecords(Transaction, tag="records.erase"):
    """Say that the key to a patient's records was destroyed, and commit to the statement of what."""

    patient: PatientId
    statement: Commitment
    count: CountOrNone


def anchor_records(tx: AnchorRecords, ctx: Context) -> RecordsAnchored:
    """Record a custodian's commitment to records."""
    custodian = ctx.member
    require(tx.anchor not in ctx.state.record_anchors, Reason.ANCHOR_ALREADY_EXISTS)

    ctx.state.record_anchors[tx.anchor] = RecordAnchor(custodian=custodian, root=tx.root, count=tx.count)

    return RecordsAnchored(anchor=tx.anchor, custodian=custodian, root=tx.root, count=tx.count)


def erase_records(tx: EraseRecords, ctx: Context) -> RecordsErased:
    """Mark a patient erased: every consent is over, and a missing record is no fault from now on."""
    custodian = ctx.member
    patient = ctx.require_patient_of(custodian, tx.patient)

    ctx.state.patients[tx.patient] = msgspec.structs.replace(patient, is_erased=True)
    ctx.state.erasures[tx.patient] = Erasure(custodian=custodian, statement=tx.statement, count=tx.count)

    return RecordsErased(patient=tx.patient, custodian=custodian, count=tx.count)
