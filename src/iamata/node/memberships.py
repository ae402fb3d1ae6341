"""What a patient asks about learning: in which datasets they are, and what learned from those."""

import enum
from collections.abc import Iterator, Sequence
from itertools import dropwhile
from pathlib import Path

import msgspec

from iamata.ledger.entries import ConsentStatus, Dataset, DatasetStatus, Model, OwnerKind, StudyStatus
from iamata.ledger.events import ConsentNarrowed, DatasetPosted
from iamata.ledger.tables import CONSENTS, DATASETS, STUDIES
from iamata.model.ids import Commitment, ConsentId, DatasetId, ModelId, PatientId
from iamata.model.instants import Instant, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.node.places import Place
from iamata.ports import LedgerView
from iamata.stores.wallets import load_wallet
from iamata.wire.desk import Desk
from iamata.workflows.lineages import get_study, is_expired, list_answered, list_learned, trace
from iamata.workflows.memberships import check_membership, list_leaves
from iamata.workflows.study_purposes import spell_purpose


class Leaving(enum.StrEnum):
    """Why somebody's row does not stay in a dataset."""

    WITHDRAWN = "withdrawn"
    REPLACED = "replaced"
    """Another consent is in the place of the one by which they took part."""
    ENDED = "ended"
    """The consent's last day has passed."""
    NARROWED = "narrowed"
    """Since the dataset was posted: they leave if what is denied is of what the study asks for."""


class Departure(msgspec.Struct, frozen=True):
    """How somebody's row leaves the datasets that it may be in."""

    until_ms: Instant
    """By when at the latest."""
    is_used: bool
    """Whether runs may use it until then: without a permit none does."""


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset of a patient's custodian, whether the patient is in it, and what learned from it."""

    dataset: DatasetId
    entry: Dataset
    purpose: str
    """What its study is for, in a patient's words."""
    is_in: bool
    leaving: Leaving | None
    """Why they go with others, by `entry.confirm_until_ms` at the latest; None where they stay."""
    is_used: bool
    """Whether runs may use the dataset: it stands, and its study's permit does."""
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
            is_standing = entry.status is DatasetStatus.ACTIVE
            yield Membership(
                dataset=dataset,
                entry=entry,
                purpose=spell_purpose(get_study(view, study)),
                is_in=any(answers),
                leaving=find_leaving(place, view, dataset, given) if is_standing else None,
                is_used=is_used(place, view, entry),
                is_proven=len(answers) == len(leaves) > 0,
                models=tuple(list_learned(view, found, dataset)),
                answers=tuple(list_answered(view, found, dataset)),
            )


def find_departure(place: Place, consent: ConsentId) -> Departure | None:
    """Find by when at the latest a consent's row leaves its custodian's datasets, if in one.

    Whether it is in one is not asked, for who has just decided waits for no answer of the custodian's.
    """
    view = place.engine.snapshot()
    entry = CONSENTS.find(view, consent)
    if entry is None:
        return None
    found = [DATASETS.find(view, name) for name in trace(place.engine).datasets]
    standing = [
        one
        for one in found
        if one is not None and one.status is DatasetStatus.ACTIVE and one.custodian == entry.custodian
    ]
    if not standing:
        return None
    return Departure(
        until_ms=max(one.confirm_until_ms for one in standing),
        is_used=any(is_used(place, view, one) for one in standing),
    )


def is_used(place: Place, view: LedgerView, dataset: Dataset) -> bool:
    """Tell whether runs may use a dataset: it stands, and its study's permit does."""
    study = STUDIES.find(view, dataset.study)
    is_granted = study is not None and study.status is StudyStatus.GRANTED
    is_over = study is not None and is_expired(study, at_ms=Instant(place.clock()))
    return dataset.status is DatasetStatus.ACTIVE and is_granted and not is_over


def find_leaving(
    place: Place, view: LedgerView, dataset: DatasetId, given: Sequence[ConsentId]
) -> Leaving | None:
    """Find why a patient leaves a dataset, in which they are by some of these consents; None if not."""
    found = [find_why(place, view, dataset, one) for one in given]
    return None if not found or None in found else found[0]


def find_why(place: Place, view: LedgerView, dataset: DatasetId, consent: ConsentId) -> Leaving | None:
    """Find what became of a consent since a dataset was made on it, None where it stands as it did."""
    entry = CONSENTS.find(view, consent)
    if entry is None or entry.status is ConsentStatus.WITHDRAWN:
        return Leaving.WITHDRAWN
    if entry.status is ConsentStatus.REPLACED:
        return Leaving.REPLACED
    if entry.until_day < compute_day(Instant(place.clock())):
        return Leaving.ENDED
    standing = {one.terms for one in entry.restrictions}
    if not standing:  # the log, which is long, need not be read
        return None
    return Leaving.NARROWED if standing & list_narrowed_since(place, dataset) else None


def list_narrowed_since(place: Place, dataset: DatasetId) -> set[Commitment]:
    """List the restrictions that came after a dataset was posted."""
    events = (leaf.event for _, leaf in place.engine.events(0))
    since = dropwhile(lambda one: not (isinstance(one, DatasetPosted) and one.dataset == dataset), events)
    return {one.restriction for one in since if isinstance(one, ConsentNarrowed)}


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
