"""What a patient asks about learning: in which datasets they are, and what learned from those."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from iamata.ledger.entries import Dataset, Model, OwnerKind
from iamata.ledger.tables import DATASETS
from iamata.model.ids import DatasetId, ModelId, PatientId
from iamata.node.home import Home
from iamata.stores.wallets import load_wallet
from iamata.workflows.lineages import list_learned, trace
from iamata.workflows.memberships import check_membership, list_leaves, prove_membership


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset of a patient's custodian, whether the patient is in it, and what learned from it."""

    dataset: DatasetId
    entry: Dataset
    is_in: bool
    """Shown by a proof that was checked against the ledger, as absence is."""
    models: tuple[tuple[ModelId, Model], ...]


def list_memberships(home: Home, folder: Path) -> Iterator[Membership]:
    """List the datasets of a patient's custodians here, each with a proof that was checked."""
    view, found, wallet = home.engine.snapshot(), trace(home.engine), load_wallet(folder)
    for identity in wallet.identities:
        is_patient = (identity.network, identity.kind) == (home.engine.network, OwnerKind.PATIENT)
        if not is_patient or not home.has_desk(identity.member):
            continue
        office, patient = home.get_office(identity.member), PatientId(identity.id)
        for dataset, study in found.datasets.items():
            entry = DATASETS.find(view, dataset)
            if entry is None or entry.custodian != identity.member:
                continue
            is_in = False
            for leaf in list_leaves(wallet, patient, study):
                proof = prove_membership(office, dataset, leaf)
                is_in |= check_membership(
                    proof, home.engine.genesis, dataset=dataset, custodian=identity.member, leaf=leaf
                )
            models = tuple(list_learned(view, found, dataset))
            yield Membership(dataset=dataset, entry=entry, is_in=is_in, models=models)
