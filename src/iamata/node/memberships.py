"""What a patient asks about learning: in which datasets they are, and what learned from those."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from iamata.ledger.entries import ConsentStatus, Dataset, DatasetStatus, Model, OwnerKind
from iamata.ledger.tables import CONSENTS, DATASETS
from iamata.model.ids import ConsentId, DatasetId, ModelId, PatientId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused
from iamata.node.places import Place
from iamata.ports import LedgerView
from iamata.stores.wallets import load_wallet
from iamata.wire.desk import Desk
from iamata.workflows.lineages import list_answered, list_learned, trace
from iamata.workflows.memberships import check_membership, list_leaves


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset of a patient's custodian, whether the patient is in it, and what learned from it."""

    dataset: DatasetId
    entry: Dataset
    is_in: bool
    is_leaving: bool
    """They have withdrawn, and go with the next ten, by `entry.confirm_until_ms` at the latest."""
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
            answers = ask(place, desk, dataset, [leaf for _, leaf in leaves])
            given = [consent for (consent, _), is_in in zip(leaves, answers, strict=False) if is_in]
            has_left = bool(given) and not any(is_in_force(view, one) for one in given)
            yield Membership(
                dataset=dataset,
                entry=entry,
                is_in=any(answers),
                is_leaving=has_left and entry.status is DatasetStatus.ACTIVE,
                is_proven=len(answers) == len(leaves) > 0,
                models=tuple(list_learned(view, found, dataset)),
                answers=tuple(list_answered(view, found, dataset)),
            )


def find_leaving_until(place: Place, consent: ConsentId) -> Instant | None:
    """Find by when at the latest a withdrawn consent's row leaves its custodian's datasets, if in one.

    Whether it is in one is not asked, for who has just withdrawn waits for no answer of the custodian's.
    """
    view = place.engine.snapshot()
    entry = CONSENTS.find(view, consent)
    if entry is None:
        return None
    found = [DATASETS.find(view, name) for name in trace(place.engine).datasets]
    standing = [one for one in found if one is not None and one.status is DatasetStatus.ACTIVE]
    return max((one.confirm_until_ms for one in standing if one.custodian == entry.custodian), default=None)


def is_in_force(view: LedgerView, consent: ConsentId) -> bool:
    """Tell whether a consent stands on the ledger."""
    entry = CONSENTS.find(view, consent)
    return entry is not None and entry.status is ConsentStatus.ACTIVE


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
