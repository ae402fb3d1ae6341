"""Train at a node: the owner's begins and registers, the sites' take part, and whoever asked looks on."""

import time
from collections.abc import Callable
from typing import Final

from iamata.ledger.entries import Run, RunStatus
from iamata.ledger.tables import RUNS
from iamata.model.ids import ModelId, RunId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.places import RemotePlace
from iamata.workflows.lineages import trace

LOOK_S: Final = 0.25


def train_at_node(
    place: RemotePlace, study: StudyId, *, supersedes: ModelId | None, tell: Callable[[Run], None]
) -> ModelId:
    """Have a training begun, and wait for its model; refuse for the reason that a site gives."""
    run_id = place.staff.start_run(study, supersedes=supersedes)
    run = get_run(place, run_id)
    while run.status is RunStatus.RUNNING:
        tell(run)
        require(place.clock() <= run.until_ms, Reason.RUN_OVER, "its time ended")
        time.sleep(LOOK_S)
        run = get_run(place, run_id)
    found = trace(place.engine)
    if run.status is RunStatus.FAILED:
        raise Refused(name_reason(found.failures.get(run_id, 0)), "a site says so")
    return next(model for model, of_run in found.models.items() if of_run == run_id)


def get_run(place: RemotePlace, run_id: RunId) -> Run:
    """Return where a run stands."""
    run = RUNS.find(place.engine.snapshot(), run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    return run


def name_reason(number: int) -> Reason:
    """Read the reason of a failed run; one that only a newer program knows is just a failure here."""
    return Reason(number) if number in Reason.__members__.values() else Reason.ROUND_ABORTED
