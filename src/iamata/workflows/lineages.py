"""What the ledger tells of learning: studies, their datasets and runs, and the models that came of them.

Read models, folded from events; where each stands is the ledger's own entry.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from iamata.learning.questions import name_answer
from iamata.ledger.entries import Dataset, DatasetStatus, Model, Run, RunStatus, Study, StudyStatus
from iamata.ledger.events import DatasetPosted, ModelRegistered, RunFailed, RunStarted, StudyProposed
from iamata.ledger.leaves import Leaf
from iamata.ledger.tables import DATASETS, MODELS, PATIENTS, RUNS, STUDIES
from iamata.model.ids import DatasetId, MemberId, ModelId, PatientId, RunId, StudyId
from iamata.model.instants import Instant, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.ports import Engine, LedgerView


class Lineages(msgspec.Struct, kw_only=True):
    """Which studies, datasets, runs and models there ever were, each in the ledger's order."""

    studies: list[StudyId] = []
    datasets: dict[DatasetId, StudyId] = {}
    runs: dict[RunId, StudyId] = {}
    models: dict[ModelId, RunId] = {}
    failures: dict[RunId, int] = {}
    """The numbers of the reasons for which runs came to nothing."""


def trace(engine: Engine) -> Lineages:
    """Fold the log into what was learned from what."""
    return fold(leaf for _, leaf in engine.events(0))


def fold(leaves: Iterable[Leaf]) -> Lineages:
    """Fold events into what was learned from what."""
    found = Lineages()
    for leaf in leaves:
        event: Any = leaf.event
        match event:
            case StudyProposed():
                found.studies.append(event.study)
            case DatasetPosted():
                found.datasets[event.dataset] = event.study
            case RunStarted():
                found.runs[event.run] = event.study
            case RunFailed():
                found.failures[event.run] = event.reason
            case ModelRegistered():
                found.models[event.model] = event.run
            case _:
                pass
    return found


def list_datasets(view: LedgerView, found: Lineages, study: StudyId) -> Iterator[tuple[DatasetId, Dataset]]:
    """List every dataset that a study ever had."""
    for name, of_study in found.datasets.items():
        if of_study == study and (entry := DATASETS.find(view, name)) is not None:
            yield name, entry


def list_runs(view: LedgerView, found: Lineages, study: StudyId) -> Iterator[tuple[RunId, Run]]:
    """List every run of a study."""
    for name, of_study in found.runs.items():
        if of_study == study and (entry := RUNS.find(view, name)) is not None:
            yield name, entry


def is_erased(view: LedgerView, patient: PatientId) -> bool:
    """Tell whether somebody who was in a dataset is not there any more."""
    entry = PATIENTS.find(view, patient)
    return entry is None or entry.is_erased


def is_answer(name: ModelId, run: RunId) -> bool:
    """Tell whether what a run came to is the answer to a question, and no model."""
    return name == name_answer(run)


def list_models(
    view: LedgerView, found: Lineages, study: StudyId | None = None
) -> Iterator[tuple[ModelId, Model]]:
    """List every model, or every model of a study, and no answers."""
    for name, run in found.models.items():
        if not is_answer(name, run) and (study is None or found.runs.get(run) == study):
            entry = MODELS.find(view, name)
            if entry is not None:
                yield name, entry


def list_learned(view: LedgerView, found: Lineages, dataset: DatasetId) -> Iterator[tuple[ModelId, Model]]:
    """List every model that ever learned from a dataset, whatever became of it."""
    for name, entry in list_models(view, found):
        run = RUNS.find(view, entry.run)
        if run is not None and dataset in run.datasets:
            yield name, entry


def list_answered(view: LedgerView, found: Lineages, dataset: DatasetId) -> Iterator[ModelId]:
    """List every answer to which a dataset contributed, whatever became of it."""
    for name, run in found.models.items():
        entry = RUNS.find(view, run)
        if is_answer(name, run) and entry is not None and dataset in entry.datasets:
            yield name


def list_run_datasets(view: LedgerView, run: Run) -> list[Dataset]:
    """List the datasets that a run reads, in its order."""
    return [one for name in run.datasets if (one := DATASETS.find(view, name)) is not None]


def list_sites(view: LedgerView, run: Run) -> list[MemberId]:
    """List whose datasets a run reads, in its order."""
    return [dataset.custodian for dataset in list_run_datasets(view, run)]


def list_model_sites(view: LedgerView, model: Model) -> list[MemberId]:
    """List whose datasets a model was learned from."""
    run = RUNS.find(view, model.run)
    return [] if run is None else list_sites(view, run)


def is_overdue(dataset: Dataset, *, at_ms: Instant) -> bool:
    """Tell whether a custodian owes its word on a dataset: nothing more may be learned from it."""
    return dataset.status is DatasetStatus.ACTIVE and at_ms > dataset.confirm_until_ms


def is_review_over(study: Study, *, at_ms: Instant) -> bool:
    """Tell whether reviewers let the time pass in which they could decide: no permit comes of it."""
    return study.status is StudyStatus.UNDER_REVIEW and at_ms > study.review_until_ms


def is_expired(study: Study, *, at_ms: Instant) -> bool:
    """Tell whether a permit's last day has passed: nothing begins under it any more."""
    return study.status is StudyStatus.GRANTED and compute_day(at_ms) > study.until_day


def count_colluders(study: Study) -> int:
    """Count how many sites of a run over all may pool what they know and learn but the others' sum.

    Two are left out of the pool at least: what a sum tells beyond one's own is otherwise the last one's.
    """
    return max(len(study.sites) - 2, 0)


def is_over_time(run: Run, *, at_ms: Instant) -> bool:
    """Tell whether a run was neither finished nor given up when its time ended."""
    return run.status is RunStatus.RUNNING and at_ms > run.until_ms


def is_model_overdue(view: LedgerView, model: Model, *, at_ms: Instant) -> bool:
    """Tell whether a model rests on a dataset on which its custodian owes its word."""
    run = RUNS.find(view, model.run)
    datasets = [] if run is None else list_run_datasets(view, run)
    return any(is_overdue(one, at_ms=at_ms) for one in datasets)


def name_reason(number: int | None) -> str | None:
    """Name the reason of a failed run; a newer program's has only its number here."""
    if number is None:
        return None
    return Reason(number).name if number in Reason.__members__.values() else str(number)


def get_study(view: LedgerView, study: StudyId) -> Study:
    """Return a study, or refuse."""
    entry = STUDIES.find(view, study)
    if entry is None:
        raise Refused(Reason.UNKNOWN_STUDY)
    return entry


def find_study_of(view: LedgerView, used: str) -> StudyId | None:
    """Find for which study a dataset, run or model (KIND/ID) was made; None where the ledger has none."""
    kind, _, name = used.partition("/")
    entry: Dataset | Model | Run | None = None
    match kind:
        case "dataset":
            entry = DATASETS.find(view, name)
        case "run":
            entry = RUNS.find(view, name)
        case "model":
            entry = MODELS.find(view, name)
        case _:
            pass
    return None if entry is None else entry.study


def get_dataset(view: LedgerView, dataset: DatasetId) -> Dataset:
    """Return a dataset, or refuse."""
    entry = DATASETS.find(view, dataset)
    if entry is None:
        raise Refused(Reason.UNKNOWN_DATASET)
    return entry


def find_posted(engine: Engine, dataset: DatasetId) -> Instant | None:
    """Find when a dataset was posted; None where it never was."""
    for _, leaf in engine.events(0):
        event: Any = leaf.event
        if isinstance(event, DatasetPosted) and event.dataset == dataset:
            return leaf.time_ms
    return None


def get_model(view: LedgerView, model: ModelId) -> Model:
    """Return a model, or refuse."""
    entry = MODELS.find(view, model)
    if entry is None:
        raise Refused(Reason.UNKNOWN_MODEL)
    return entry
