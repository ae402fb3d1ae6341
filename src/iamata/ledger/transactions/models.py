"""Models: what came of a run, with the hash of its file, its lineage, and where it stands today."""

from typing import Final

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import DatasetStatus, Model, ModelStatus, Run, RunStatus
from iamata.ledger.events import ModelRegistered
from iamata.ledger.transaction import Transaction
from iamata.ledger.transactions.runs import list_sites, require_running
from iamata.model.ids import Digest, ModelId, RunId
from iamata.model.reasons import Reason, require

MODELS_MAX: Final = 64
"""Models in use that learned from one dataset."""


class RegisterModel(Transaction, tag="model.register"):
    """Put a finished run's model on record, and let it take the place of an older one."""

    model: ModelId
    run: RunId
    content: Digest
    card: Digest
    supersedes: ModelId | msgspec.UnsetType = msgspec.UNSET


def register_model(tx: RegisterModel, ctx: Context) -> ModelRegistered:
    """Record a model that all sites of its run attest; it is born stale where patients have left since."""
    owner = ctx.member
    run = require_running(tx.run, ctx)
    require(owner == ctx.state.studies[run.study].owner, Reason.NOT_THE_OWNER)
    require(tx.model not in ctx.state.models, Reason.MODEL_ALREADY_EXISTS)
    check_attested(tx.content, run, ctx)
    check_superseded(tx, run, ctx)
    require_room(run, ctx)

    status = judge_birth(run, ctx)
    ctx.state.models[tx.model] = Model(
        study=run.study,
        run=tx.run,
        content=tx.content,
        card=tx.card,
        status=status,
        supersedes=tx.supersedes or None,
    )
    if tx.supersedes is not msgspec.UNSET:
        supersede(tx.supersedes, ctx)
    for dataset_id in run.datasets:
        dataset = ctx.state.datasets[dataset_id]
        ctx.state.datasets[dataset_id] = msgspec.structs.replace(
            dataset, models=(*list_in_use(dataset.models, ctx), tx.model)
        )
    ctx.state.runs[tx.run] = msgspec.structs.replace(run, status=RunStatus.FINISHED)

    return ModelRegistered(model=tx.model, run=tx.run, status=status, supersedes=tx.supersedes)


def check_attested(content: Digest, run: Run, ctx: Context) -> None:
    """Refuse a model that a site of the run does not attest."""
    said = {one.site: one.model for one in run.attestations}
    require(all(said.get(site) == content for site in list_sites(run, ctx)), Reason.SITES_DISAGREE)


def check_superseded(tx: RegisterModel, run: Run, ctx: Context) -> None:
    """Refuse to take the place of another study's model, or of one that has been taken."""
    if tx.supersedes is msgspec.UNSET:
        return
    older = ctx.state.models[tx.supersedes]
    is_older = older.study == run.study and older.status is not ModelStatus.SUPERSEDED
    require(is_older, Reason.UNKNOWN_MODEL)


def require_room(run: Run, ctx: Context) -> None:
    """Refuse one more model where a dataset has too many in use."""
    for dataset_id in run.datasets:
        models = list_in_use(ctx.state.datasets[dataset_id].models, ctx)
        require(len(models) < MODELS_MAX, Reason.TOO_LARGE)


def judge_birth(run: Run, ctx: Context) -> ModelStatus:
    """Say what a model is from the start: its datasets may have moved on since the run began."""
    statuses = [ctx.state.datasets[one].status for one in run.datasets]
    if DatasetStatus.RETIRED in statuses:
        return ModelStatus.RETIRED
    return ModelStatus.STALE if DatasetStatus.REPLACED in statuses else ModelStatus.CURRENT


def supersede(model_id: ModelId, ctx: Context) -> None:
    """Let a newer model stand in an older one's place; one that is retired stays so."""
    older = ctx.state.models[model_id]
    if older.status is not ModelStatus.RETIRED:
        ctx.state.models[model_id] = msgspec.structs.replace(older, status=ModelStatus.SUPERSEDED)


def list_in_use(models: tuple[ModelId, ...], ctx: Context) -> tuple[ModelId, ...]:
    """Leave out models that nothing can happen to any more."""
    over = (ModelStatus.RETIRED, ModelStatus.SUPERSEDED)
    return tuple(one for one in models if ctx.state.models[one].status not in over)
