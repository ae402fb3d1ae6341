"""A node's part in studies: it takes part in runs, registers what its own come to, looks after datasets.

It acts on what the ledger says, on threads of its own. What fails is on the ledger, or in the log.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from iamata.ledger.events import ConsentNarrowed, ConsentWithdrawn, RunStarted
from iamata.ledger.tables import RUNS, STUDIES
from iamata.model.ids import MemberId, ModelId, RunId
from iamata.model.reasons import Refused
from iamata.wire.carrying import DeskCarrier
from iamata.wire.desk import Desk
from iamata.workflows import studies, training, withdrawals
from iamata.workflows.lineages import list_sites
from iamata.workflows.office import Office
from iamata.workflows.run_rounds import Round

LOOK_S: Final = 0.25
"""How often the log is looked at; its size alone while nothing happens."""
LOOK_AFTER_S: Final = 3_600.0
"""How often datasets are looked after when nobody withdraws."""
AFTER_WITHDRAWAL_S: Final = 60.0
"""How long after a withdrawal they are: others may come with it."""
STOP_S_MAX: Final = 5.0
RUNS_AT_ONCE_MAX: Final = 4
"""In which a node takes part."""
REGISTERED_AT_ONCE_MAX: Final = 16
"""Of the node's own, whose sites it waits for."""

_LOG: Final = structlog.get_logger("iamata.learning")


class LearningDuty:
    """What one member's node does for studies."""

    def __init__(self, office: Office, get_desk: Callable[[MemberId], Desk]) -> None:
        self._office = office
        self._get_desk = get_desk
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="iamata-learning", daemon=True)
        self._places = threading.BoundedSemaphore(RUNS_AT_ONCE_MAX)
        # Who waits for the sites, of which we may be one, holds no place that they need.
        self._waiting = threading.BoundedSemaphore(REGISTERED_AT_ONCE_MAX)
        self._after = 0
        self._due_s = time.monotonic()
        self._awaited: dict[RunId, None] = {}

    def start(self) -> None:
        """Begin with what happens from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S_MAX)

    def register(self, run: RunId, *, supersedes: ModelId | None) -> None:
        """Await what the sites of an own run attest, and register it, without making anybody wait."""
        if run not in self._awaited:
            self._awaited[run] = None
            self._spawn(self._waiting, run, lambda: self._register(run, supersedes))

    def _run(self) -> None:
        self._after = self._office.take_view().log_size
        is_taken_up = False
        while not self._stopping.wait(LOOK_S):
            try:
                is_taken_up = is_taken_up or self._take_up()
                self._hear()
                self._look_after_when_due()
            except Refused:  # as while the ledger is silent
                pass
            except Exception:  # noqa: BLE001  or the node would take part in nothing more, and nobody would know
                _LOG.exception("learning")

    def _take_up(self) -> bool:
        """Go on with the runs in which this node took part when it was killed, and await its own again."""
        for run in training.list_interrupted(self._office):
            _LOG.info("goes on", run=run)
            self._spawn(self._places, run, partial(self._take_part, run, training.go_on))
        for one in studies.list_unregistered(self._office):
            self.register(one.run, supersedes=one.supersedes)
        return True

    def _hear(self) -> None:
        """Act on what is new in the log, on each event once."""
        if self._office.take_view().log_size > self._after:
            for index, leaf in self._office.author.engine.events(self._after):
                self._after = index + 1
                if isinstance(leaf.event, RunStarted):
                    self._join(leaf.event.run)
                elif isinstance(leaf.event, ConsentWithdrawn | ConsentNarrowed):
                    self._due_s = min(self._due_s, time.monotonic() + AFTER_WITHDRAWAL_S)

    def _join(self, run_id: RunId) -> None:
        view = self._office.take_view()
        run = RUNS.find(view, run_id)
        if run is None:
            return
        if self._office.member in list_sites(view, run):
            self._spawn(self._places, run_id, partial(self._take_part, run_id, training.take_part))

    def _take_part(self, run_id: RunId, take_part: Callable[..., object]) -> None:
        view = self._office.take_view()
        run = RUNS.find(view, run_id)
        study = None if run is None else STUDIES.find(view, run.study)
        if study is not None:
            carrier = DeskCarrier(self._get_desk(study.owner), self._office)
            take_part(self._office, run_id, carrier, tell=partial(_tell, run_id))
            _LOG.info("took part", run=run_id)

    def _register(self, run_id: RunId, supersedes: ModelId | None) -> None:
        model = studies.register_model(self._office, run_id, supersedes=supersedes)
        _LOG.info("registered", run=run_id, model=model)

    def _look_after_when_due(self) -> None:
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + LOOK_AFTER_S
            for study, step in withdrawals.look_after_all(self._office).items():
                _LOG.info("looked after", study=study, step=step)

    def _spawn(self, places: threading.BoundedSemaphore, run_id: RunId, work: Callable[[], None]) -> None:
        def run() -> None:
            with places:
                try:
                    work()
                except Refused as refused:
                    reason, detail, cause = refused.reason.name, refused.detail, refused.__cause__
                    _LOG.error("run failed", run=run_id, reason=reason, detail=detail, exc_info=cause)
                except Exception:  # noqa: BLE001  the run's end is on the ledger, or comes with its time
                    _LOG.exception("run failed", run=run_id)

        threading.Thread(target=run, name="iamata-run", daemon=True).start()


def _tell(run_id: RunId, step: Round) -> None:
    if step.number == 1:
        _LOG.info("takes part", run=run_id)
