"""Datasets: a custodian's table for a study, from consents at one height, and how it ends."""

from typing import Annotated, Final

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import Dataset, DatasetStatus, ModelStatus, Study
from iamata.ledger.events import DatasetConfirmed, DatasetPosted, DatasetRetired
from iamata.ledger.transaction import Count, Transaction
from iamata.ledger.transactions.studies import require_permit
from iamata.model.ids import Commitment, DatasetId, Digest, MemberId, ModelId, StudyId
from iamata.model.instants import MS_PER_DAY, Instant
from iamata.model.reasons import Reason, require

LEAVES_MIN: Final = 16
LEAVES_MAX: Final = 2**24
CONFIRM_DAYS: Final = 30
"""How long somebody who withdrew can at most have to wait in a dataset."""
REPLACED_MAX: Final = 64
"""Datasets whose place one took, one after the other, and whose models may still be in use, stale."""

Leaves = Annotated[int, msgspec.Meta(ge=LEAVES_MIN, le=LEAVES_MAX)]


class PostDataset(Transaction, tag="dataset.post"):
    """Commit to a study's table at a custodian; one that `replaces` another is without those who left."""

    dataset: DatasetId
    study: StudyId
    members: Digest
    leaves: Leaves
    consents: Commitment
    height: Count
    replaces: DatasetId | msgspec.UnsetType = msgspec.UNSET


class ConfirmDataset(Transaction, tag="dataset.confirm"):
    """Say that nobody who withdrew has waited in a dataset for longer than agreed."""

    dataset: DatasetId


class RetireDataset(Transaction, tag="dataset.retire"):
    """Take a dataset away: too few left for a new one to hide them, or no more is to be learned."""

    dataset: DatasetId


def post_dataset(tx: PostDataset, ctx: Context) -> DatasetPosted:
    """Record a dataset under a permit; the models of the one that it replaces turn stale.

    Those that were stale for too many datasets by now retire, which bounds what one block has to end.
    """
    custodian = ctx.member
    study = require_permit(tx.study, ctx)
    require(custodian in study.sites, Reason.NOT_A_SITE)
    require(tx.dataset not in ctx.state.datasets, Reason.DATASET_ALREADY_EXISTS)
    require(tx.leaves & (tx.leaves - 1) == 0, Reason.MALFORMED, "leaves fill a power of two")
    require(tx.height < ctx.height, Reason.MALFORMED, "consents are asked after a block that is final")
    active = find_active(study, custodian, ctx)
    require(active == (tx.replaces or None), Reason.DATASET_NOT_ACTIVE, "a site has one dataset at a time")

    if active is not None:
        end_dataset(active, DatasetStatus.REPLACED, ModelStatus.STALE, ctx)
    ctx.state.datasets[tx.dataset] = Dataset(
        study=tx.study,
        custodian=custodian,
        members=tx.members,
        leaves=tx.leaves,
        consents=tx.consents,
        height=tx.height,
        confirm_until_ms=Instant(ctx.time_ms + CONFIRM_DAYS * MS_PER_DAY),
        replaces=active,
    )
    for older in list_replaced(tx.dataset, ctx)[REPLACED_MAX:]:
        end_dataset(older, DatasetStatus.RETIRED, ModelStatus.RETIRED, ctx)
    others = tuple(one for one in study.datasets if one != active)
    ctx.state.studies[tx.study] = msgspec.structs.replace(study, datasets=(*others, tx.dataset))

    return DatasetPosted(dataset=tx.dataset, study=tx.study, custodian=custodian, replaces=tx.replaces)


def confirm_dataset(tx: ConfirmDataset, ctx: Context) -> DatasetConfirmed:
    """Record the custodian's word until the next is due."""
    dataset = require_own_dataset(tx.dataset, ctx)

    confirm_until_ms = Instant(ctx.time_ms + CONFIRM_DAYS * MS_PER_DAY)
    ctx.state.datasets[tx.dataset] = msgspec.structs.replace(dataset, confirm_until_ms=confirm_until_ms)

    return DatasetConfirmed(dataset=tx.dataset, custodian=dataset.custodian)


def retire_dataset(tx: RetireDataset, ctx: Context) -> DatasetRetired:
    """End a dataset, those whose place it took, and every model that learned from one of them.

    Whoever is in this one was in those, so a stale model learned from them too, and no dataset comes that
    would leave them out.
    """
    dataset = require_own_dataset(tx.dataset, ctx)

    for ending in (tx.dataset, *list_replaced(tx.dataset, ctx)):
        end_dataset(ending, DatasetStatus.RETIRED, ModelStatus.RETIRED, ctx)
    study = ctx.state.studies[dataset.study]
    others = tuple(one for one in study.datasets if one != tx.dataset)
    ctx.state.studies[dataset.study] = msgspec.structs.replace(study, datasets=others)

    return DatasetRetired(dataset=tx.dataset, custodian=dataset.custodian)


def require_own_dataset(dataset_id: DatasetId, ctx: Context) -> Dataset:
    """Return an active dataset of the member that signed, or refuse."""
    dataset = ctx.state.datasets[dataset_id]
    require(dataset.custodian == ctx.member, Reason.NOT_THE_CUSTODIAN)
    require(dataset.status is DatasetStatus.ACTIVE, Reason.DATASET_NOT_ACTIVE)
    return dataset


def find_active(study: Study, custodian: MemberId, ctx: Context) -> DatasetId | None:
    """Return a site's active dataset in a study, None where it has none."""
    return next((one for one in study.datasets if ctx.state.datasets[one].custodian == custodian), None)


def list_replaced(dataset_id: DatasetId, ctx: Context) -> list[DatasetId]:
    """List the replaced datasets whose place one took, each before the next, from the last one on."""
    found: list[DatasetId] = []
    older = ctx.state.datasets[dataset_id].replaces
    while older is not None and ctx.state.datasets[older].status is DatasetStatus.REPLACED:
        found.append(older)
        older = ctx.state.datasets[older].replaces
    return found


def end_dataset(
    dataset_id: DatasetId, status: DatasetStatus, model_status: ModelStatus, ctx: Context
) -> None:
    """End a dataset, and say so of the models that learned from it."""
    dataset = ctx.state.datasets[dataset_id]
    for model_id in dataset.models:
        demote(model_id, model_status, ctx)
    ctx.state.datasets[dataset_id] = msgspec.structs.replace(dataset, status=status)


def demote(model_id: ModelId, status: ModelStatus, ctx: Context) -> None:
    """Let a model be stale or retired; what is retired or superseded does not become stale again."""
    model = ctx.state.models[model_id]
    if model.status is ModelStatus.CURRENT or (
        model.status is ModelStatus.STALE and status is ModelStatus.RETIRED
    ):
        ctx.state.models[model_id] = msgspec.structs.replace(model, status=status)
