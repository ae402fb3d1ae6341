"""Train a study's model from a home: its owner carries, and each site that is served here takes part."""

import threading
from collections.abc import Callable
from functools import partial

from iamata.ledger.tables import RUNS
from iamata.model.ids import MemberId, ModelId, PersonId, RunId, StudyId
from iamata.model.reasons import Reason, Refused
from iamata.node.desks import LocalDesk
from iamata.node.home import Home
from iamata.wire.carrying import DeskCarrier
from iamata.workflows import studies, training
from iamata.workflows.lineages import list_sites
from iamata.workflows.training import Round


def train(  # noqa: PLR0913  whose study, for whom, in whose place, and who is told
    home: Home,
    study: StudyId,
    *,
    owner: MemberId,
    researcher: PersonId,
    supersedes: ModelId | None = None,
    tell: Callable[[MemberId, Round], None],
) -> ModelId:
    """Start a run on what stands, let the sites here take part, await the others, register the model."""
    office = home.get_office(owner)
    run = studies.start_run(office, study, researcher, supersedes=supersedes)
    failures: list[Refused] = []

    def take_part(site: MemberId) -> None:
        try:
            carrier = DeskCarrier(LocalDesk(office), home.get_office(site))
            training.take_part(home.get_office(site), run, carrier, tell=partial(tell, site))
        except Refused as refused:
            failures.append(refused)

    threads = [threading.Thread(target=take_part, args=(one,)) for one in list_own_sites(home, run)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise min(failures, key=lambda one: one.reason is Reason.RUN_OVER)
    return studies.register_model(office, run, supersedes=supersedes)


def list_own_sites(home: Home, run: RunId) -> list[MemberId]:
    """List the sites of a run that are served from a home."""
    view = home.engine.snapshot()
    entry = RUNS.find(view, run)
    sites = [] if entry is None else list_sites(view, entry)
    return [one for one in sites if home.has_desk(one)]
