"""Train or ask at a node: the owner's begins and registers, the sites' take part, who asked looks on."""

import time
from collections.abc import Set as AbstractSet
from typing import Final

from iamata.ledger.entries import Run, RunStatus
from iamata.ledger.tables import RUNS
from iamata.model.ids import MemberId, ModelId, RunId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.places import RemotePlace
from iamata.node.steps import Step, Tell
from iamata.workflows.lineages import list_sites, trace
from iamata.workflows.questions import Begun

LOOK_S: Final = 0.25


def train_at_node(place: RemotePlace, study: StudyId, *, supersedes: ModelId | None, tell: Tell) -> ModelId:
    """Have a training begun, and wait for its model; refuse for the reason that a site gives."""
    run_id = place.staff.start_run(study, supersedes=supersedes)
    await_run(place, run_id, tell=tell)
    return next(model for model, of_run in trace(place.engine).models.items() if of_run == run_id)


def ask_at_node(place: RemotePlace, study: StudyId, question: bytes, *, tell: Tell) -> Begun:
    """Have a question asked, and wait for its answer; refuse for the reason that a site gives."""
    started = place.staff.ask(study, question)
    await_run(place, started.run, tell=tell)
    return Begun(run=started.run, is_new=started.is_new)


def await_run(place: RemotePlace, run_id: RunId, *, tell: Tell) -> None:
    """Wait until what a run came to is on record; refuse for the reason that a site gives."""
    run = get_run(place, run_id)
    for site in list_sites(place.engine.snapshot(), run):
        tell(Step(site=site))
    done: set[MemberId] = set()
    while run.status is RunStatus.RUNNING:
        require(place.clock() <= run.until_ms, Reason.RUN_OVER, "its time ended")
        time.sleep(LOOK_S)
        run = get_run(place, run_id)
        done |= tell_done(run, done, tell)
    if run.status is RunStatus.FAILED:
        raise Refused(name_reason(trace(place.engine).failures.get(run_id, 0)), "a site says so")


def tell_done(run: Run, told: AbstractSet[MemberId], tell: Tell) -> set[MemberId]:
    """Tell which sites have attested a run that had not yet, and return them."""
    fresh = {one.site for one in run.attestations} - told
    for site in sorted(fresh):
        tell(Step(site=site, is_done=True))
    return fresh


def get_run(place: RemotePlace, run_id: RunId) -> Run:
    """Return where a run stands."""
    run = RUNS.find(place.engine.snapshot(), run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    return run


def name_reason(number: int) -> Reason:
    """Read the reason of a failed run; one that only a newer program knows is just a failure here."""
    return Reason(number) if number in Reason.__members__.values() else Reason.ROUND_ABORTED
