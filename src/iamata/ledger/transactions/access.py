"""Access: a disclosure is on the ledger before the first byte leaves; reads inside come in batches."""

from iamata.ledger.bases import AnyBasis, check_basis, describe_basis
from iamata.ledger.context import Context
from iamata.ledger.entries import Access, RecordAnchor
from iamata.ledger.events import AccessDisclosed, ReadsAnchored
from iamata.ledger.transaction import Count, Transaction
from iamata.model.ids import AccessId, AnchorId, Commitment, Digest, PatientId
from iamata.model.reasons import Reason, require


class Disclose(Transaction, tag="access.disclose"):
    """Announce that records leave; the commitment binds recipient, purpose and the list of records."""

    access: AccessId
    patient: PatientId
    basis: AnyBasis
    commitment: Commitment


class AnchorReads(Transaction, tag="access.anchor"):
    """Commit to a batch of reads inside the custodian."""

    anchor: AnchorId
    root: Digest
    count: Count


def disclose(tx: Disclose, ctx: Context) -> AccessDisclosed:
    """Record a disclosure whose basis is active in this very block."""
    custodian = ctx.member
    require(tx.access not in ctx.state.accesses, Reason.ACCESS_ALREADY_EXISTS)
    check_basis(tx.basis, custodian=custodian, patient_id=tx.patient, ctx=ctx)

    basis = describe_basis(tx.basis)
    ctx.state.accesses[tx.access] = Access(
        custodian=custodian, patient=tx.patient, basis=basis, commitment=tx.commitment
    )

    return AccessDisclosed(access=tx.access, patient=tx.patient, custodian=custodian, basis=basis)


def anchor_reads(tx: AnchorReads, ctx: Context) -> ReadsAnchored:
    """Record a custodian's commitment to its own staff's reads."""
    custodian = ctx.member
    require(tx.anchor not in ctx.state.read_anchors, Reason.ANCHOR_ALREADY_EXISTS)

    ctx.state.read_anchors[tx.anchor] = RecordAnchor(custodian=custodian, root=tx.root, count=tx.count)

    return ReadsAnchored(anchor=tx.anchor, custodian=custodian, root=tx.root, count=tx.count)
