"""The rounds of a run at one site: what was authorised, and the sums, one after the other.

What a site may send is decided here: nothing after the run is over, nothing beyond its budget, and in each
round what follows from the plan that it wrote itself.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from iamata.crypto import hkdf
from iamata.crypto.aead import KEY_BYTES
from iamata.learning.programmes import Query
from iamata.learning.secure_sum.plans import Plan, Seat
from iamata.learning.secure_sum.site import Sum
from iamata.learning.summing import START, enter_round, extend_run, plan_round
from iamata.learning.tables import Integers
from iamata.ledger.entries import Dataset, Run, RunStatus, Study, StudyStatus
from iamata.ledger.tables import MEMBERS, RUNS, STUDIES
from iamata.ledger.transactions.runs import FailRun
from iamata.model.ids import DatasetId, MemberId, RunId
from iamata.model.instants import compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.workflows.exchanging import SILENCE_S_MAX, Carrier, Exchange
from iamata.workflows.kept_rounds import KeptRounds
from iamata.workflows.lineages import list_run_datasets
from iamata.workflows.office import Office
from iamata.workflows.reviewed_code import compute_code_digest

_ROUNDING: Final = 1 + 1e-9
"""What a query may spend is a float: parts of a whole add up to it but for the last digits."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run has come, for those who watch."""

    number: int
    query: str
    values: int


class Authorised(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of a run of which this member is a site."""

    run: Run
    study: Study
    dataset: DatasetId
    sites: tuple[MemberId, ...]
    seats: tuple[Seat, ...]


Tell = Callable[[Round], None]


class Summing:
    """The rounds of one run at one site, in their order."""

    def __init__(  # noqa: PLR0913  what a run is bound to
        self,
        office: Office,
        run: RunId,
        authorised: Authorised,
        carrier: Carrier,
        kept: KeptRounds,
        *,
        rows: int,
        rows_key: bytes,
        rho: float,
        tell: Tell,
        silence_s: float = SILENCE_S_MAX,
    ) -> None:
        """Take up a run; `rho` is what its queries may spend together, 0 where none needs noise.

        `rows_key` is the key that goes with its rows (`load_table`).
        Rounds whose sums are kept are not gone through again.
        """
        self.transcript = START
        self._is_private = rho > 0
        self._rho_left = rho * _ROUNDING
        self._office = office
        self._run = run
        self._authorised = authorised
        self._carrier = carrier
        self._kept = kept
        self._rows = rows
        self._rows_key = rows_key
        self._tell = tell
        self._silence_s = silence_s
        self._number = 0
        self._former: Exchange | None = None

    def sum(self, query: Query, share: Integers) -> Sum:
        """Sum a query over all sites, with this site's noise in its share where the study has a budget."""
        self._spend(query)
        require_under_way(self._office, self._run)
        self._number += 1
        plan = plan_round(
            query,
            network=self._office.author.engine.network,
            run=self._run,
            datasets=self._authorised.run.datasets,
            seats=self._authorised.seats,
            transcript=self.transcript,
        )
        total = self._kept.find_sum(self._number, plan)
        if total is None:
            self._tell(Round(number=self._number, query=query.name, values=query.length))
            total = self._exchange(query, plan, share)
            now_ms = self._office.tell_time(self._office.take_view())
            self._kept.keep_sum(self._number, total, now_ms=now_ms)
        self.transcript = extend_run(self.transcript, total)
        return total

    def _exchange(self, query: Query, plan: Plan, share: Integers) -> Sum:
        site = enter_round(
            query,
            plan,
            share,
            rows=self._rows,
            key=self._office.author.key,
            seed=self._kept.derive_seed(plan, self._rows_key),
            secret=derive_noise_secret(self._office.custody),
        )
        exchange = Exchange(
            site,
            self._run,
            self._carrier,
            check=partial(require_under_way, self._office, self._run),
            bind=partial(self._kept.bind, plan),
            silence_s=self._silence_s,
        )
        total = exchange.finish(self._former)
        self._former = exchange
        return total

    def _spend(self, query: Query) -> None:
        """Refuse a query that shows more than was granted, before anything of it leaves."""
        is_hidden = query.noise is not None
        require(is_hidden == self._is_private, Reason.BUDGET_EXHAUSTED, f"{query.name}: noise")
        if query.noise is not None:
            require(0 < query.noise.rho <= self._rho_left, Reason.BUDGET_EXHAUSTED, query.name)
            self._rho_left -= query.noise.rho


def require_under_way(office: Office, run_id: RunId) -> tuple[Run, Study]:
    """Return a run that has not ended, by anybody's word or by time, and whose study's permit lasts.

    A permit that was revoked ends what is under way, as one that has expired does.
    """
    view = office.take_view()
    run = RUNS.find(view, run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    now_ms = office.tell_time(view)
    study = STUDIES.find(view, run.study)
    if study is None:
        raise Refused(Reason.HOME_CORRUPT, "the ledger misses what a run names")
    require(run.status is RunStatus.RUNNING, Reason.RUN_OVER)
    is_permitted = study.status is StudyStatus.GRANTED and compute_day(now_ms) <= study.until_day
    require(is_permitted, Reason.PERMIT_NOT_ACTIVE)
    require(now_ms <= run.until_ms, Reason.RUN_OVER)
    return run, study


def require_authorised(office: Office, view: LedgerView, run_id: RunId) -> Authorised:
    """Return what the ledger says of a run, or refuse unless this site may take part as it is."""
    run, study = require_under_way(office, run_id)
    datasets = list_run_datasets(view, run)
    if len(datasets) != len(run.datasets):
        raise Refused(Reason.HOME_CORRUPT, "the ledger misses what a run names")
    require(study.code == compute_code_digest(), Reason.CODE_NOT_REVIEWED, "this node's code is another")
    own = [name for name, one in zip(run.datasets, datasets, strict=True) if one.custodian == office.member]
    require(bool(own), Reason.NOT_A_SITE)
    return Authorised(
        run=run,
        study=study,
        dataset=own[0],
        sites=tuple(one.custodian for one in datasets),
        seats=tuple(_seat(view, one) for one in datasets),
    )


def say_failed(office: Office, run_id: RunId, reason: Reason) -> None:
    """Close a run on the ledger with its reason; others may have said so before."""
    try:
        office.author.submit(FailRun, run=run_id, reason=int(reason))
    except Refused as refused:
        known = (Reason.RUN_OVER, Reason.UNKNOWN_RUN, Reason.NOT_A_SITE)
        if refused.reason not in known:
            raise


def derive_noise_secret(custody: Custody) -> bytes:
    """Derive what a site's noise follows from; who learned it could take the noise off again."""
    return hkdf.derive(custody.index_key, salt=b"", info=b"noise", size_bytes=KEY_BYTES)


def _seat(view: LedgerView, dataset: Dataset) -> Seat:
    member = MEMBERS.find(view, dataset.custodian)
    if member is None:
        raise Refused(Reason.UNKNOWN_MEMBER, dataset.custodian)
    return Seat(dataset.custodian, member.signing_key)
