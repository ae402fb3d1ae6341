"""How studies, datasets, runs and models are described: for machines as documents, for people as rows."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from iamata.cli.output import complain
from iamata.ledger.entries import Dataset, Model, Run, Study
from iamata.model.ids import DatasetId, ModelId, RunId, StudyId
from iamata.model.instants import Instant, format_day, format_instant
from iamata.node.places import Place, RemotePlace
from iamata.ports import LedgerView
from iamata.workflows.lineages import (
    Lineages,
    count_colluders,
    is_expired,
    is_model_overdue,
    is_over_time,
    is_overdue,
    is_review_over,
    list_sites,
    name_reason,
)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="The study, by its id.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model, by its id.")]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="SITE", help="A site that takes no part; repeat it."),
]
MICRO: int = 1_000_000


INTERRUPTED: str = "Interrupted: the run has failed, nothing came of it, and what it spent is spent."
WATCHED: str = "You look on no longer. The run goes on at its nodes: iamata study show tells more."


@contextlib.contextmanager
def saying_what_stops(place: Place) -> Iterator[None]:
    """Say what becomes of a run when its command is interrupted from the keyboard."""
    try:
        yield
    except KeyboardInterrupt:
        complain(WATCHED if isinstance(place, RemotePlace) else INTERRUPTED)
        raise


def tell_time(place: Place) -> Instant:
    """Tell at what time something is judged: the ledger's, or the clock's where the ledger is idle."""
    return Instant(max(place.engine.snapshot().time_ms, place.clock()))


def describe_study(study_id: StudyId, study: Study, *, at_ms: Instant) -> dict[str, Any]:
    """Describe where a study stands."""
    return {
        "study": study_id,
        "owner": study.owner,
        "status": study.status,
        "is_review_over": is_review_over(study, at_ms=at_ms),
        "is_expired": is_expired(study, at_ms=at_ms),
        "review_until": format_instant(study.review_until_ms),
        "code": study.code,
        "colluders_max": count_colluders(study),
        "purpose": study.purpose,
        "uses": list(study.uses),
        "sites": list(study.sites),
        "until": format_day(study.until_day),
        "approvals": list(study.approvals),
        "rejections": list(study.rejections),
        "budget": study.budget_micro / MICRO,
        "spent": study.spent_micro / MICRO,
    }


def describe_dataset(dataset_id: DatasetId, dataset: Dataset, *, at_ms: Instant) -> dict[str, Any]:
    """Describe where a dataset stands."""
    return {
        "dataset": dataset_id,
        "study": dataset.study,
        "custodian": dataset.custodian,
        "status": dataset.status,
        "leaves": dataset.leaves,
        "height": dataset.height,
        "confirm_until": format_instant(dataset.confirm_until_ms),
        "is_overdue": is_overdue(dataset, at_ms=at_ms),
    }


def describe_run(
    view: LedgerView, found: Lineages, run_id: RunId, run: Run, *, at_ms: Instant
) -> dict[str, Any]:
    """Describe what became of a run."""
    return {
        "run": run_id,
        "status": run.status,
        "is_over_time": is_over_time(run, at_ms=at_ms),
        "reason": name_reason(found.failures.get(run_id)) or "",
        "sites": list_sites(view, run),
        "attested_by": [one.site for one in run.attestations],
        "spends": run.spends_micro / MICRO,
    }


def describe_model(view: LedgerView, model_id: ModelId, model: Model, *, at_ms: Instant) -> dict[str, Any]:
    """Describe where a model stands."""
    return {
        "model": model_id,
        "study": model.study,
        "run": model.run,
        "status": model.status,
        "is_overdue": is_model_overdue(view, model, at_ms=at_ms),
        "supersedes": model.supersedes or "",
        "file": model.content,
        "card": model.card,
    }


def spell_standing(row: dict[str, Any]) -> str:
    """Say where a study stands, as time has it."""
    if row["is_review_over"]:
        return f"{row['status']}, too late to decide"
    return f"{row['status']}, expired" if row["is_expired"] else str(row["status"])


def spell_collusion(row: dict[str, Any]) -> str:
    """Say how many sites may put together what they know, where all take part."""
    count = len(row["sites"])
    if count < 3:  # noqa: PLR2004  a sum less one's own
        return f"Of {count} site(s), who sees a sum can tell each site's own from it."
    return (
        f"In a run of all {count} sites, up to {row['colluders_max']} may put together what they know, and "
        "learn only the sum of the others."
    )


def spell_overdue(row: dict[str, Any]) -> str:
    """Say where a dataset or a model stands, in a word or two."""
    return f"{row['status']}, overdue" if row["is_overdue"] else str(row["status"])
