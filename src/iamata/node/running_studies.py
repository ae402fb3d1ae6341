"""Train or ask at a node: the owner's begins and registers, the sites' take part, who asked looks on."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from iamata.ledger.entries import Run, RunStatus
from iamata.ledger.tables import RUNS
from iamata.model.ids import MemberId, ModelId, RunId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.places import RemotePlace
from iamata.node.steps import Step, Tell
from iamata.workflows.lineages import list_sites, trace
from iamata.workflows.questions import Begun
from iamata.workflows.run_rounds import Round

LOOK_S: Final = 0.25


def train_at_node(
    place: RemotePlace,
    study: StudyId,
    *,
    supersedes: ModelId | None,
    without: Sequence[MemberId] = (),
    tell: Tell,
) -> ModelId:
    """Have a training begun, and wait for its model; refuse for the reason that a site gives."""
    run_id = place.staff.start_run(study, supersedes=supersedes, without=without)
    await_run(place, run_id, tell=tell)
    return next(model for model, of_run in trace(place.engine).models.items() if of_run == run_id)


def ask_at_node(
    place: RemotePlace,
    study: StudyId,
    question: bytes,
    *,
    without: Sequence[MemberId] = (),
    tell: Tell,
) -> Begun:
    """Have a question asked, and wait for its answer; refuse for the reason that a site gives."""
    started = place.staff.ask(study, question, without=without)
    await_run(place, started.run, tell=tell)
    return Begun(run=started.run, is_new=started.is_new)


def await_run(place: RemotePlace, run_id: RunId, *, tell: Tell) -> None:
    """Wait until what a run came to is on record; refuse for the reason that a site gives."""
    told: set[Step] = set()
    while True:
        run = get_run(place, run_id)
        for step in list_steps(place, run_id, run):
            if step not in told:
                tell(step)
                told.add(step)
        if run.status is not RunStatus.RUNNING:
            break
        require(place.clock() <= run.until_ms, Reason.RUN_OVER, "its time ended")
        time.sleep(LOOK_S)
    if run.status is RunStatus.FAILED:
        raise Refused(name_reason(trace(place.engine).failures.get(run_id, 0)), "a site says so")


def list_steps(place: RemotePlace, run_id: RunId, run: Run) -> Iterator[Step]:
    """List what each site of a run is at, as the node that carries it hears: a sum, or nothing any more."""
    standing, done = place.staff.tell_standing(run_id), [one.site for one in run.attestations]
    newest = Round(number=standing.rounds, query="", values=standing.values)
    for site in list_sites(place.engine.snapshot(), run):
        yield Step(site=site)
        if site in done:
            yield Step(site=site, is_done=True)
        elif site in standing.sites:
            yield Step(site=site, round=newest)


def get_run(place: RemotePlace, run_id: RunId) -> Run:
    """Return where a run stands."""
    run = RUNS.find(place.engine.snapshot(), run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    return run


def name_reason(number: int) -> Reason:
    """Read the reason of a failed run; one that only a newer program knows is just a failure here."""
    return Reason(number) if number in Reason.__members__.values() else Reason.ROUND_ABORTED
