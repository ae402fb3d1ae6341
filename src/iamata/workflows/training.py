"""A site takes part in a run: it works out each step itself, from sums alone, with the reviewed code.

It asks the ledger what was authorised, its own dataset for rows, and the owner's node for nothing but to
carry messages. What it attests in the end is what it computed.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from iamata.crypto.aead import KEY_BYTES
from iamata.learning.programmes import Programme, Query, encode_share
from iamata.learning.programmes import Site as RowsOfSite
from iamata.learning.protocols import Learned, learn, name_document, split_site
from iamata.learning.protocols import Protocol as ProtocolFile
from iamata.learning.secure_sum.plans import Plan, Seat
from iamata.learning.secure_sum.site import Site, Sum
from iamata.learning.summing import START, extend_run, plan_round, read_round
from iamata.learning.tables import Integers
from iamata.ledger.entries import Dataset, Run, RunStatus, Study
from iamata.ledger.tables import DATASETS, MEMBERS, RUNS, STUDIES
from iamata.ledger.transactions.runs import AttestRun, FailRun
from iamata.model.canonical import encode_struct
from iamata.model.ids import DatasetId, Digest, MemberId, RunId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.workflows.datasets import journal_use
from iamata.workflows.documents import HandedIn, get_protocol, keep_document
from iamata.workflows.frozen_tables import get_roll, load_table
from iamata.workflows.office import Office
from iamata.workflows.reviewed_code import compute_code_digest

SILENCE_S_MAX: Final = 120.0
"""How long a site waits for one phase before it says that the run has failed."""


class Carrier(Protocol):
    """Who carries messages between sites: the desk of the study's owner."""

    def carry_message(self, *, plan: bytes, message: bytes) -> None:
        """Take in a message for the round that the plan names."""
        ...

    def await_delivery(self, run: RunId, plan: Digest, phase: int) -> Sequence[bytes] | None:
        """Return what a phase of a round brought; None where it was still open after a while."""
        ...

    def hand_in(self, handed: HandedIn) -> None:
        """Hand over what came of a run."""
        ...

    def show_document(self, digest: Digest) -> bytes:
        """Return a public document by its hash."""
        ...


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


def take_part(office: Office, run_id: RunId, carrier: Carrier, *, tell: Tell = lambda _: None) -> Learned:
    """Train with the other sites, hand the model in, and attest it; or say on the ledger what failed."""
    try:
        view = office.take_view()
        authorised = require_authorised(office, view, run_id)
        protocol = fetch_protocol(office, authorised.study, carrier)
        roll = get_roll(office.custody, authorised.dataset)
        record = f"run/{run_id}"
        journal_use(office, view, authorised.study, roll.participants, record=record)
        table = load_table(office.custody, authorised.dataset, protocol.schema)
        site = split_site(protocol, table, number=authorised.sites.index(office.member))
        summing = Summing(office, run_id, authorised, carrier, rows=table.count_patients(), tell=tell)
        learned = run_programme(learn(protocol), site, summing)
        attest(office, run_id, carrier, learned, summing.transcript)
    except Refused as refused:
        say_failed(office, run_id, refused.reason)
        raise
    return learned


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
        *,
        rows: int,
        tell: Tell,
    ) -> None:
        self.transcript = START
        self._office = office
        self._run = run
        self._authorised = authorised
        self._carrier = carrier
        self._rows = rows
        self._tell = tell
        self._number = 0

    def sum(self, query: Query, share: Integers) -> Sum:
        """Sum a query over all sites."""
        self._number += 1
        self._tell(Round(number=self._number, query=query.name, values=query.length))
        plan = plan_round(
            query,
            network=self._office.author.engine.network,
            run=self._run,
            datasets=self._authorised.run.datasets,
            seats=self._authorised.seats,
            transcript=self.transcript,
        )
        site = Site.start(
            plan,
            self._office.author.key,
            seed=self._office.custody.entropy(KEY_BYTES),
            rows=self._rows,
            values=[share],
        )
        total = self._exchange(plan, site)
        self.transcript = extend_run(self.transcript, total)
        return total

    def _exchange(self, plan: Plan, site: Site) -> Sum:
        spelled, digest = encode_struct(plan), Digest(encode_digest(plan.compute_digest()))
        answer: bytes | None = site.answer
        while answer is not None:
            phase = site.phase
            self._carrier.carry_message(plan=spelled, message=answer)
            answer = site.receive(self._await(digest, phase))
        total = site.find_sum()
        if total is None:
            raise Refused(Reason.ROUND_ABORTED)
        return total

    def _await(self, plan: Digest, phase: int) -> Sequence[bytes]:
        deadline_s = time.monotonic() + SILENCE_S_MAX
        while (delivery := self._carrier.await_delivery(self._run, plan, phase)) is None:
            require(time.monotonic() < deadline_s, Reason.TOO_SLOW, "a site is silent")
        return delivery


def require_authorised(office: Office, view: LedgerView, run_id: RunId) -> Authorised:
    """Return what the ledger says of a run, or refuse unless this site may take part as it is."""
    run = RUNS.find(view, run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    is_under_way = run.status is RunStatus.RUNNING and office.tell_time(view) <= run.until_ms
    require(is_under_way, Reason.RUN_OVER)
    study = STUDIES.find(view, run.study)
    datasets = [one for name in run.datasets if (one := DATASETS.find(view, name)) is not None]
    if study is None or len(datasets) != len(run.datasets):
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


def fetch_protocol(office: Office, study: Study, carrier: Carrier) -> ProtocolFile:
    """Return a study's protocol, from the owner where it is not kept here; it is what its hash says."""
    try:
        return get_protocol(office.custody, study)
    except Refused as refused:
        if refused.reason is not Reason.NOT_FOUND:
            raise
    document = carrier.show_document(study.protocol)
    require(name_document(document) == study.protocol, Reason.BODY_CHANGED, "the protocol")
    keep_document(office.custody, document)
    return get_protocol(office.custody, study)


def attest(office: Office, run_id: RunId, carrier: Carrier, learned: Learned, rounds: bytes) -> None:
    """Keep the model, hand it in at the owner, and say on the ledger that this is what came out."""
    evaluation = msgspec.json.encode(learned.evaluation)
    handed = HandedIn(run=run_id, model=learned.model, evaluation=evaluation, rounds=rounds)
    keep_document(office.custody, learned.model)
    carrier.hand_in(handed)
    office.author.submit(
        AttestRun,
        run=run_id,
        code=compute_code_digest(),
        model=name_document(learned.model),
        transcript=handed.compute_transcript(),
    )


def say_failed(office: Office, run_id: RunId, reason: Reason) -> None:
    """Close a run on the ledger with its reason; others may have said so before."""
    try:
        office.author.submit(FailRun, run=run_id, reason=int(reason))
    except Refused as refused:
        known = (Reason.RUN_OVER, Reason.UNKNOWN_RUN, Reason.NOT_A_SITE)
        if refused.reason not in known:
            raise


def _seat(view: LedgerView, dataset: Dataset) -> Seat:
    member = MEMBERS.find(view, dataset.custodian)
    if member is None:
        raise Refused(Reason.UNKNOWN_MEMBER, dataset.custodian)
    return Seat(dataset.custodian, member.signing_key)
