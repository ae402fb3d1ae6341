"""What a patient asks about learning: in which datasets they are, and what learned from those."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from iamata.ledger.entries import Dataset, Model, OwnerKind
from iamata.ledger.tables import DATASETS
from iamata.model.ids import DatasetId, ModelId, PatientId
from iamata.model.reasons import Reason, Refused
from iamata.node.places import Place
from iamata.stores.wallets import load_wallet
from iamata.wire.desk import Desk
from iamata.workflows.lineages import list_answered, list_learned, trace
from iamata.workflows.memberships import check_membership, list_leaves


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset of a patient's custodian, whether the patient is in it, and what learned from it."""

    dataset: DatasetId
    entry: Dataset
    is_in: bool
    is_proven: bool
    """By proofs that were checked against the ledger. Without any consent there is nothing to ask for."""
    models: tuple[tuple[ModelId, Model], ...]
    answers: tuple[ModelId, ...]
    """To questions, of all that were counted."""


def list_memberships(place: Place, folder: Path) -> Iterator[Membership]:
    """List the datasets of a patient's custodians here, each with a proof that was checked."""
    view, found, wallet = place.engine.snapshot(), trace(place.engine), load_wallet(folder)
    for identity in wallet.identities:
        is_patient = (identity.network, identity.kind) == (place.engine.network, OwnerKind.PATIENT)
        if not is_patient or not place.has_desk(identity.member):
            continue
        desk, patient = place.get_desk(identity.member), PatientId(identity.id)
        for dataset, study in found.datasets.items():
            entry = DATASETS.find(view, dataset)
            if entry is None or entry.custodian != identity.member:
                continue
            leaves = list(list_leaves(wallet, patient, study))
            answers = ask(place, desk, dataset, leaves)
            yield Membership(
                dataset=dataset,
                entry=entry,
                is_in=any(answers),
                is_proven=len(answers) == len(leaves) > 0,
                models=tuple(list_learned(view, found, dataset)),
                answers=tuple(list_answered(view, found, dataset)),
            )


def ask(place: Place, desk: Desk, dataset: DatasetId, leaves: Sequence[bytes]) -> list[bool]:
    """Ask a custodian about each leaf, and check what it says; one that lost its roll proves nothing."""
    answers: list[bool] = []
    for leaf in leaves:
        try:
            proof = desk.prove_membership(dataset, leaf)
        except Refused as refused:
            if refused.reason is not Reason.UNKNOWN_DATASET:
                raise
            return []
        answers.append(
            check_membership(proof, place.engine.genesis, dataset=dataset, custodian=desk.member, leaf=leaf)
        )
    return answers
