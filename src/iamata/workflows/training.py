"""A site takes part in a run: it works out each step itself, from sums alone, with the reviewed code.

It asks the ledger what was authorised, its own dataset for rows, and the owner's node for nothing but to
carry messages. What it attests in the end is what it computed.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from iamata.crypto import hkdf
from iamata.crypto.aead import KEY_BYTES
from iamata.learning.programmes import Programme, Query, encode_share
from iamata.learning.programmes import Site as RowsOfSite
from iamata.learning.protocols import (
    Learned,
    answer_question,
    check_budget,
    learn,
    name_document,
    read_protocol,
    split_site,
)
from iamata.learning.protocols import Protocol as ProtocolFile
from iamata.learning.questions import read_asked
from iamata.learning.secure_sum.plans import Plan, Seat
from iamata.learning.secure_sum.site import Site, Sum
from iamata.learning.summing import START, draw_noise, extend_run, plan_round, read_round
from iamata.learning.tables import Integers
from iamata.ledger.entries import Dataset, Run, RunStatus, Study
from iamata.ledger.tables import MEMBERS, RUNS, STUDIES
from iamata.ledger.transactions.runs import AttestRun, FailRun
from iamata.model.ids import DatasetId, MemberId, RunId
from iamata.model.instants import compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.workflows.datasets import journal_use
from iamata.workflows.documents import HandedIn, fetch_document, keep_document
from iamata.workflows.exchanging import SILENCE_S_MAX, Carrier, Exchange, insist
from iamata.workflows.frozen_tables import get_roll, load_table
from iamata.workflows.kept_rounds import KeptRounds, forget_rounds
from iamata.workflows.lineages import list_run_datasets
from iamata.workflows.office import Office
from iamata.workflows.question_runs import find_attempt
from iamata.workflows.reviewed_code import compute_code_digest
from iamata.workflows.undertakings import PART, Undertaking, list_undertaken, undertake

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


def take_part(
    office: Office,
    run_id: RunId,
    carrier: Carrier,
    *,
    tell: Tell = lambda _: None,
    silence_s: float = SILENCE_S_MAX,
) -> Learned:
    """Train with the other sites, hand the model in, and attest it; or say on the ledger what failed.

    Refuses a run in which this site has taken part before: once is for ever, whatever became of it.
    """
    undertake(office.custody, PART, Undertaking(run=run_id))
    return _go_through(office, run_id, carrier, None, tell=tell, silence_s=silence_s)


def go_on(
    office: Office,
    run_id: RunId,
    carrier: Carrier,
    *,
    tell: Tell = lambda _: None,
    silence_s: float = SILENCE_S_MAX,
) -> Learned:
    """Take part from where this site was when its node was killed, as `take_part` would have."""
    kept = KeptRounds.find(office.custody, run_id, now_ms=office.tell_time(office.take_view()))
    if kept is None:
        raise Refused(Reason.QUERY_ALREADY_ANSWERED, "what was sent in this run is not known here")
    return _go_through(office, run_id, carrier, kept, tell=tell, silence_s=silence_s)


def _go_through(  # noqa: PLR0913  as both who call it
    office: Office,
    run_id: RunId,
    carrier: Carrier,
    kept: KeptRounds | None,
    *,
    tell: Tell,
    silence_s: float,
) -> Learned:
    try:
        summing, programme, site = _prepare(office, run_id, carrier, kept, tell=tell, silence_s=silence_s)
        learned = run_programme(programme, site, summing)
        handing_in = partial(attest, office, run_id, carrier, learned, summing.transcript)
        insist(handing_in, silence_s=silence_s)
    except Refused as refused:
        insist(partial(say_failed, office, run_id, refused.reason), silence_s=silence_s)
        forget_rounds(office.custody, run_id)
        raise
    forget_rounds(office.custody, run_id)
    return learned


def _prepare(  # noqa: PLR0913  as both who call it
    office: Office,
    run_id: RunId,
    carrier: Carrier,
    kept: KeptRounds | None,
    *,
    tell: Tell,
    silence_s: float,
) -> tuple["Summing", Programme[Learned], RowsOfSite]:
    """Read what was authorised and this site's rows, once their use is journalled."""
    view = office.take_view()
    authorised = require_authorised(office, view, run_id)
    protocol = fetch_protocol(office, authorised.study, carrier)
    check_spending(protocol, authorised)
    roll = get_roll(office.custody, authorised.dataset)
    if kept is None:
        journal_use(office, view, authorised.study, roll.participants, record=f"run/{run_id}")
        kept = KeptRounds.begin(office.custody, run_id, now_ms=office.tell_time(view))
    table = load_table(office.custody, authorised.dataset, protocol.schema)
    number = authorised.sites.index(office.member)
    site = split_site(protocol, table, number=number, has_holdout=roll.has_holdout)
    summing = Summing(
        office,
        run_id,
        authorised,
        carrier,
        kept,
        rows=site.table.count_patients(),
        rho=protocol.rho,
        tell=tell,
        silence_s=silence_s,
    )
    return summing, choose_programme(view, run_id, authorised, protocol, carrier), site


def choose_programme(
    view: LedgerView, run_id: RunId, authorised: Authorised, protocol: ProtocolFile, carrier: Carrier
) -> Programme[Learned]:
    """Return what a run works out: the answer to the question that names it, or a model."""
    if not protocol.is_for_questions:
        return learn(protocol)
    asked = read_asked(carrier.show_question(run_id), protocol.schema)
    run = authorised.run
    named, _ = find_attempt(view, run.study, run.datasets, asked)
    require(named == run_id, Reason.QUERY_ALREADY_ANSWERED, "another run answers this question")
    return answer_question(protocol, asked, sites=len(authorised.sites))


def run_programme(programme: Programme[Learned], site: RowsOfSite, summing: "Summing") -> Learned:
    """Run a programme on a site's own rows and on sums over all sites."""
    try:
        query = next(programme)
        while True:
            share = encode_share(query, query.compute(query.given, site))
            query = programme.send(read_round(query, summing.sum(query, share)))
    except StopIteration as end:
        learned: Learned = end.value
        return learned


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
        rho: float,
        tell: Tell,
        silence_s: float = SILENCE_S_MAX,
    ) -> None:
        """Take up a run; `rho` is what its queries may spend together, 0 where none needs noise.

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
        secret = derive_noise_secret(self._office)
        site = Site.start(
            plan,
            self._office.author.key,
            seed=self._kept.derive_seed(plan),
            rows=self._rows,
            values=[share],
            noise=draw_noise(query, plan, share, rows=self._rows, secret=secret),
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
    """Return a run that has not ended, by anybody's word or by time, and whose study's permit lasts."""
    view = office.take_view()
    run = RUNS.find(view, run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    now_ms = office.tell_time(view)
    study = STUDIES.find(view, run.study)
    if study is None:
        raise Refused(Reason.HOME_CORRUPT, "the ledger misses what a run names")
    require(run.status is RunStatus.RUNNING, Reason.RUN_OVER)
    require(compute_day(now_ms) <= study.until_day, Reason.PERMIT_NOT_ACTIVE)
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


def check_spending(protocol: ProtocolFile, authorised: Authorised) -> None:
    """Refuse a run that was not charged with exactly what its protocol spends."""
    check_budget(protocol, authorised.study.budget_micro)
    is_charged = authorised.run.spends_micro == protocol.spends_micro
    require(is_charged, Reason.BUDGET_EXHAUSTED, "the run was charged with another sum")


def derive_noise_secret(office: Office) -> bytes:
    """Derive what a site's noise follows from; who learned it could take the noise off again."""
    return hkdf.derive(office.custody.index_key, salt=b"", info=b"noise", size_bytes=KEY_BYTES)


def fetch_protocol(office: Office, study: Study, carrier: Carrier) -> ProtocolFile:
    """Return a study's protocol, from the owner where it is not kept here; it is what its hash says."""
    return read_protocol(fetch_document(office.custody, study.protocol, carrier.show_document))


def attest(office: Office, run_id: RunId, carrier: Carrier, learned: Learned, rounds: bytes) -> None:
    """Keep the model, hand it in at the owner, and say on the ledger that this is what came out."""
    evaluation = msgspec.json.encode(learned.evaluation)
    handed = HandedIn(run=run_id, model=learned.model, evaluation=evaluation, rounds=rounds)
    keep_document(office.custody, learned.model)
    carrier.hand_in(handed)
    try:
        office.author.submit(
            AttestRun,
            run=run_id,
            code=compute_code_digest(),
            model=name_document(learned.model),
            transcript=handed.compute_transcript(),
        )
    except Refused as refused:  # so it had arrived, though no answer came
        require(refused.reason is Reason.ALREADY_ATTESTED, refused.reason, refused.detail)


def say_failed(office: Office, run_id: RunId, reason: Reason) -> None:
    """Close a run on the ledger with its reason; others may have said so before."""
    try:
        office.author.submit(FailRun, run=run_id, reason=int(reason))
    except Refused as refused:
        known = (Reason.RUN_OVER, Reason.UNKNOWN_RUN, Reason.NOT_A_SITE)
        if refused.reason not in known:
            raise


def list_interrupted(office: Office) -> list[RunId]:
    """List the runs in which this site took part when its node was killed, and that it can go on with.

    Those with which it cannot, it says to have failed; what is kept of those that are over is destroyed.
    """
    view = office.take_view()
    interrupted = []
    for undertaking in list_undertaken(office.custody, PART):
        name, run = undertaking.run, RUNS.find(view, undertaking.run)
        is_due = (
            run is not None and run.status is RunStatus.RUNNING and not _has_attested(run, office.member)
        )
        if not is_due:
            forget_rounds(office.custody, name)
        elif KeptRounds.find(office.custody, name, now_ms=office.tell_time(view)) is not None:
            interrupted.append(name)
        else:
            say_failed(office, name, Reason.ROUND_ABORTED)
            forget_rounds(office.custody, name)
    return interrupted


def _has_attested(run: Run, site: MemberId) -> bool:
    return any(one.site == site for one in run.attestations)


def _seat(view: LedgerView, dataset: Dataset) -> Seat:
    member = MEMBERS.find(view, dataset.custodian)
    if member is None:
        raise Refused(Reason.UNKNOWN_MEMBER, dataset.custodian)
    return Seat(dataset.custodian, member.signing_key)
