"""Whether a patient is in a dataset: the custodian answers with a proof, and the wallet checks it.

The question is a leaf. Who is neither the patient nor the custodian cannot know which leaf to ask for.
"""

from collections.abc import Iterator

import msgspec

from iamata.crypto.mapproof import MapProof
from iamata.learning.membership import compute_leaf, derive_member_key, is_member
from iamata.ledger.entries import Dataset
from iamata.ledger.genesis import Genesis
from iamata.ledger.receipts import StateProof, check_state_proof
from iamata.ledger.tables import DATASETS
from iamata.model.ids import ConsentId, DatasetId, MemberId, PatientId, StudyId, decode_digest
from iamata.model.reasons import Reason, require
from iamata.workflows.frozen_tables import get_roll
from iamata.workflows.office import Office
from iamata.workflows.wallets import Wallet


class MembershipProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a leaf is in a dataset, or that it is not, and what ties that to the ledger."""

    members: MapProof
    dataset: StateProof


def prove_membership(office: Office, dataset: DatasetId, leaf: bytes) -> MembershipProof:
    """Prove that a leaf is in a dataset that was built here, or that it is not."""
    members, _ = get_roll(office.custody, dataset).build_members()
    return MembershipProof(
        members=members.prove(leaf), dataset=office.take_view().prove_entry(DATASETS.key(dataset))
    )


def check_membership(
    proof: MembershipProof, genesis: Genesis, *, dataset: DatasetId, custodian: MemberId, leaf: bytes
) -> bool:
    """Tell whether a leaf is in a custodian's dataset, or refuse a proof that shows neither."""
    is_asked = proof.dataset.key == DATASETS.key(dataset).decode("ascii")
    require(is_asked, Reason.FAULT_FOUND, "a proof of something else")
    value = check_state_proof(proof.dataset, genesis)
    require(value is not None, Reason.FAULT_FOUND, f"the ledger has no dataset {dataset}")
    entry: Dataset = DATASETS.decoder.decode(str(value).encode("utf-8"))
    require(entry.custodian == custodian, Reason.FAULT_FOUND, f"dataset {dataset} is another's")
    return is_member(entry.members, leaf, proof.members)


def list_leaves(wallet: Wallet, patient: PatientId, study: StudyId) -> Iterator[tuple[ConsentId, bytes]]:
    """List the leaves by which a patient may be in a study's datasets: one for each consent ever given."""
    for kept in wallet.kept:
        if kept.patient == patient and not kept.narrows:
            yield ConsentId(kept.consent), compute_leaf(derive_member_key(decode_digest(kept.salt)), study)
