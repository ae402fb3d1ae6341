"""Train or ask from a home: a study's owner carries, and each site that is served here takes part."""

import contextlib
import threading
from collections.abc import Sequence
from typing import Final

from iamata.learning.questions import Question
from iamata.ledger.entries import RunStatus
from iamata.ledger.tables import RUNS
from iamata.model.ids import MemberId, ModelId, PersonId, RunId, StudyId
from iamata.model.reasons import Reason, Refused
from iamata.node.desks import LocalDesk
from iamata.node.home import Home
from iamata.node.steps import Step, Tell
from iamata.wire.carrying import DeskCarrier
from iamata.workflows import questions, studies, training
from iamata.workflows.lineages import list_sites
from iamata.workflows.office import Office
from iamata.workflows.questions import Begun
from iamata.workflows.run_rounds import say_failed

STOP_S_MAX: Final = 10.0
"""How long sites here have, when somebody interrupts, to find out that the run is over."""


def train(  # noqa: PLR0913  whose study, for whom, in whose place, and who is told
    home: Home,
    study: StudyId,
    *,
    owner: MemberId,
    researcher: PersonId,
    supersedes: ModelId | None = None,
    without: Sequence[MemberId] = (),
    tell: Tell,
) -> ModelId:
    """Start a run on what stands, let the sites here take part, await the others, register the model."""
    end_interrupted(home, study=study)
    office = home.get_office(owner)
    run = studies.start_run(office, study, researcher, supersedes=supersedes, without=without)
    take_part_here(home, office, run, tell=tell)
    return studies.register_model(office, run, supersedes=supersedes)


def ask(  # noqa: PLR0913  whose study, for whom, what, without whom, and who is told
    home: Home,
    study: StudyId,
    question: Question,
    *,
    owner: MemberId,
    researcher: PersonId,
    without: Sequence[MemberId] = (),
    tell: Tell,
) -> Begun:
    """Ask a question, let the sites here take part, and register the answer; nothing where it is there."""
    for office in home.offices.values():  # a run in which this home was closed is over, or goes on below
        training.list_interrupted(office)
    office = home.get_office(owner)
    begun = questions.ask(office, study, researcher, question, without=without)
    run = RUNS.find(office.take_view(), begun.run)
    if run is not None and run.status is RunStatus.RUNNING:
        take_part_here(home, office, begun.run, tell=tell)
        studies.register_model(office, begun.run)
    return begun


def end_interrupted(home: Home, *, study: StudyId | None = None) -> None:
    """Say of runs that this home was at when it was closed, and does not go on with, that they failed.

    Those of `study`, of which another run is to begin, are not gone on with though they could be. What
    waits for a site elsewhere is left alone.
    """
    going_on = {run for office in home.offices.values() for run in training.list_interrupted(office)}
    for office in home.offices.values():
        for run in (one.run for one in studies.list_unregistered(office)):
            entry, waits_for = RUNS.find(office.take_view(), run), list_own_sites(home, run)
            if entry is None or len(waits_for) + len(entry.attestations) < len(entry.datasets):
                continue
            if entry.study == study or (waits_for and run not in going_on):
                say_failed(office, run, Reason.ROUND_ABORTED)


def take_part_here(home: Home, office: Office, run: RunId, *, tell: Tell) -> None:
    """Let the sites that are served from a home take part in a run that one of its members carries.

    Interrupted from the keyboard, the run fails, so that it ends at once at all of them.
    """
    failures: list[Refused] = []

    def take_part(site: MemberId) -> None:
        own = home.get_office(site)
        carrier = DeskCarrier(LocalDesk(office), own)
        act = training.go_on if run in training.list_interrupted(own) else training.take_part
        tell(Step(site=site))
        try:
            act(own, run, carrier, tell=lambda told: tell(Step(site=site, round=told)))
        except Refused as refused:
            failures.append(refused)
        else:
            tell(Step(site=site, is_done=True))

    sites = list_own_sites(home, run)
    threads = [threading.Thread(target=take_part, args=(one,), daemon=True) for one in sites]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        with contextlib.suppress(Refused):  # as while the ledger is silent: said when one trains again
            say_failed(office, run, Reason.ROUND_ABORTED)
        for thread in filter(threading.Thread.is_alive, threads):
            thread.join(STOP_S_MAX)
        raise
    if failures:
        raise min(failures, key=lambda one: one.reason is Reason.RUN_OVER)


def list_own_sites(home: Home, run: RunId) -> list[MemberId]:
    """List the sites of a run that are served from a home and have not attested it."""
    view = home.engine.snapshot()
    entry = RUNS.find(view, run)
    if entry is None:
        return []
    done = [one.site for one in entry.attestations]
    return [one for one in list_sites(view, entry) if home.has_desk(one) and one not in done]
