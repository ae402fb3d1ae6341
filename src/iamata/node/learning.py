"""Train a study's model from a home: its owner carries, and each site that is served here takes part."""

import threading
from collections.abc import Callable
from functools import partial

from iamata.ledger.tables import DATASETS, RUNS
from iamata.model.ids import Digest, MemberId, ModelId, PersonId, RunId, StudyId
from iamata.model.reasons import Reason, Refused
from iamata.node.home import Home
from iamata.workflows import studies, training
from iamata.workflows.documents import HandedIn
from iamata.workflows.office import Office
from iamata.workflows.training import Round


class LocalCarrier:
    """The desk of a study's owner, for a site in the same home."""

    def __init__(self, owner: Office, sender: MemberId) -> None:
        self._owner = owner
        self._sender = sender

    def carry_message(self, *, plan: bytes, message: bytes) -> None:
        """Take in a message for the round that the plan names."""
        self._owner.relays.carry(self._owner.take_view(), self._sender, plan=plan, message=message)

    def find_delivery(self, run: RunId, plan: Digest, phase: int) -> list[bytes] | None:
        """Return what a phase of a round brought, None while it is open."""
        found = self._owner.relays.find_delivery(run, plan, phase)
        return None if found is None else list(found)

    def hand_in(self, handed: HandedIn) -> None:
        """Hand over what came of a run."""
        studies.accept_model(self._owner, handed)


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
    run = studies.start_run(office, study, researcher)
    failures: list[Refused] = []

    def take_part(site: MemberId) -> None:
        try:
            carrier = LocalCarrier(office, site)
            training.take_part(home.get_office(site), run, carrier, tell=partial(tell, site))
        except Refused as refused:
            failures.append(refused)

    threads = [threading.Thread(target=take_part, args=(one,)) for one in list_sites(home, run)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    office.relays.forget(run)
    if failures:
        raise min(failures, key=lambda one: one.reason is Reason.RUN_OVER)
    return studies.register_model(office, run, supersedes=supersedes)


def list_sites(home: Home, run: RunId) -> list[MemberId]:
    """List the sites of a run that are served from a home."""
    view = home.engine.snapshot()
    entry = RUNS.find(view, run)
    datasets = () if entry is None else entry.datasets
    sites = [one.custodian for name in datasets if (one := DATASETS.find(view, name)) is not None]
    return [one for one in sites if home.has_desk(one)]
