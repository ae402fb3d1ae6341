"""A node's part in studies: it takes part in runs, registers what its own come to, looks after datasets.

It acts on what the ledger says, on threads of its own. What fails is on the ledger, or in the log.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from iamata.consent.data_use import Conditions
from iamata.duties.building import Builds
from iamata.duties.turns import Turns
from iamata.ledger.events import ConsentNarrowed, ConsentWithdrawn, RecordsErased, RunFailed, RunStarted
from iamata.ledger.tables import RUNS, STUDIES
from iamata.model.ids import DatasetId, MemberId, ModelId, RunId, StudyId
from iamata.model.instants import MS_PER_SECOND
from iamata.model.reasons import Refused
from iamata.wire.carrying import DeskCarrier
from iamata.wire.desk import Desk
from iamata.workflows import cohort_reads, datasets, studies, training, withdrawals
from iamata.workflows.exchanging import SILENCE_S_MAX
from iamata.workflows.kept_rounds import forget_rounds
from iamata.workflows.lineages import list_sites
from iamata.workflows.office import Office
from iamata.workflows.run_rounds import Round, say_failed

LOOK_S: Final = 0.25
"""How often the log is looked at; its size alone while nothing happens."""
LOOK_AFTER_S: Final = 3_600.0
"""How often datasets are looked after when nobody withdraws."""
AFTER_WITHDRAWAL_S: Final = 60.0
"""How long after a withdrawal they are: others may come with it."""
STOP_S_MAX: Final = 5.0
MISSED_MS_MAX: Final = int(SILENCE_S_MAX * MS_PER_SECOND)
"""How long ago a run began in which a node that was down then still takes part: others wait so long."""
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
        self._turns = Turns()
        self._builds = Builds()
        # Who waits for the sites, of which we may be one, holds no place that they need.
        self._waiting = threading.BoundedSemaphore(REGISTERED_AT_ONCE_MAX)
        self._after = 0
        self._due_s = time.monotonic()
        self._awaited: dict[RunId, None] = {}

    def start(self) -> None:
        """Begin with what was left undone, and go on with what happens from now on."""
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
            work = partial(self._do, run, lambda: self._register(run, supersedes))
            threading.Thread(target=work, name="iamata-run", daemon=True).start()

    def build(self, study: StudyId, conditions: Conditions) -> DatasetId:
        """Begin to build a dataset out of the vault, once however often it is asked; return its id."""
        dataset = DatasetId(self._office.author.make_id())
        return self._builds.begin(
            study,
            conditions,
            dataset,
            check=partial(datasets.get_buildable, self._office, study, conditions),
            is_standing=partial(datasets.is_standing, self._office),
            work=partial(cohort_reads.build_from_vault, self._office, study, conditions, dataset=dataset),
        )

    def is_built(self, dataset: DatasetId) -> bool:
        """Tell whether a dataset that was begun here stands, or refuse where nothing came of it."""
        return self._builds.is_built(dataset)

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
        """Go on with the runs in which this node took part when it was killed, and await its own again.

        And take part in those that began while it was down, where the others still wait for it.
        """
        for run in training.list_interrupted(self._office):
            _LOG.info("goes on", run=run)
            self._queue(run, training.go_on)
        for run in training.list_missed(self._office, self._after, since_ms=MISSED_MS_MAX):
            self._join(run)
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
                elif isinstance(leaf.event, RunFailed):
                    forget_rounds(self._office.custody, leaf.event.run)
                elif isinstance(leaf.event, ConsentWithdrawn | ConsentNarrowed):
                    self._due_s = min(self._due_s, time.monotonic() + AFTER_WITHDRAWAL_S)
                elif isinstance(leaf.event, RecordsErased) and leaf.event.custodian == self._office.member:
                    self._due_s = time.monotonic()  # no row is left that could wait

    def _join(self, run_id: RunId) -> None:
        view = self._office.take_view()
        run = RUNS.find(view, run_id)
        if run is None:
            return
        if self._office.member in list_sites(view, run):
            self._queue(run_id, training.take_part)

    def _queue(self, run_id: RunId, take_part: Callable[..., object]) -> None:
        """Take part when the study's earlier runs are through, or say that too many of them wait."""
        run = RUNS.find(self._office.take_view(), run_id)
        if run is None:
            return
        work = partial(self._take_part, run_id, take_part)
        try:
            self._turns.queue(run.study, partial(self._do, run_id, work))
        except Refused as refused:
            _LOG.error("run refused", run=run_id, reason=refused.reason.name, detail=refused.detail)
            say_failed(self._office, run_id, refused.reason)

    def _take_part(self, run_id: RunId, take_part: Callable[..., object]) -> None:
        view = self._office.take_view()
        run = RUNS.find(view, run_id)
        study = None if run is None else STUDIES.find(view, run.study)
        if study is not None:
            try:
                carrier = DeskCarrier(self._get_desk(study.owner), self._office)
            except Refused as refused:
                say_failed(self._office, run_id, refused.reason)
                raise
            take_part(self._office, run_id, carrier, tell=partial(_tell, run_id))
            _LOG.info("took part", run=run_id)

    def _register(self, run_id: RunId, supersedes: ModelId | None) -> None:
        with self._waiting:
            model = studies.register_model(self._office, run_id, supersedes=supersedes)
        _LOG.info("registered", run=run_id, model=model)

    def _look_after_when_due(self) -> None:
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + LOOK_AFTER_S
            for study, done in withdrawals.look_after_all(self._office).items():
                _LOG.info("looked after", study=study, step=done.step, objection=done.objection)

    def _do(self, run_id: RunId, work: Callable[[], None]) -> None:
        try:
            work()
        except Refused as refused:
            reason, detail, cause = refused.reason.name, refused.detail, refused.__cause__
            _LOG.error("run failed", run=run_id, reason=reason, detail=detail, exc_info=cause)
        except Exception:  # noqa: BLE001  or the study's later runs would wait for ever
            _LOG.exception("run failed", run=run_id)


def _tell(run_id: RunId, step: Round) -> None:
    if step.number == 1:
        _LOG.info("takes part", run=run_id)
