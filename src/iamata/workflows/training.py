"""A site takes part in a run: it works out each step itself, from sums alone, with the reviewed code.

It asks the ledger what was authorised, its own dataset for rows, and the owner's node for nothing but to
carry messages. What it attests in the end is what it computed.
"""

from collections.abc import Sequence
from functools import partial

import msgspec

from iamata.consent.data_use import require_use
from iamata.learning.programmes import Programme
from iamata.learning.programmes import Site as RowsOfSite
from iamata.learning.protocols import Learned, check_budget, name_document, read_protocol, split_site
from iamata.learning.protocols import Protocol as ProtocolFile
from iamata.learning.questions import Asked, read_asked
from iamata.learning.secure_sum.material import SEED_BYTES
from iamata.learning.sizes import check_protocol
from iamata.learning.tables import Table
from iamata.ledger.entries import Run, RunStatus, Study
from iamata.ledger.events import RunStarted
from iamata.ledger.tables import RUNS
from iamata.ledger.transactions.runs import AttestRun
from iamata.model.ids import MemberId, PatientId, RunId
from iamata.model.instants import compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.workflows.datasets import journal_use, list_erased
from iamata.workflows.documents import HandedIn, fetch_document, keep_document
from iamata.workflows.exchanging import SILENCE_S_MAX, Carrier, insist
from iamata.workflows.frozen_tables import Roll, get_roll, load_table
from iamata.workflows.kept_rounds import Begun, KeptRounds, forget_rounds
from iamata.workflows.lineages import list_sites
from iamata.workflows.office import Office
from iamata.workflows.question_runs import find_attempt
from iamata.workflows.reviewed_code import compute_code_digest
from iamata.workflows.run_programmes import choose_programme, run_programme
from iamata.workflows.run_rounds import (
    Authorised,
    Summing,
    Tell,
    require_authorised,
    require_under_way,
    say_failed,
)
from iamata.workflows.undertakings import PART, Undertaking, list_undertaken, undertake


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
    A fault of this node's own fails the run with NODE_FAULT, and is the refusal's cause.
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
    kept = _find_to_go_on(office, office.take_view(), run_id)
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
        require_under_way(office, run_id)  # a permit that was revoked meanwhile makes no model
        handing_in = partial(attest, office, run_id, carrier, learned, summing.transcript)
        insist(handing_in, silence_s=silence_s)
    except Refused as refused:
        _give_up(office, run_id, refused.reason, silence_s=silence_s)
        raise
    except Exception as error:  # the others would wait for this site until the run's time is over
        _give_up(office, run_id, Reason.NODE_FAULT, silence_s=silence_s)
        raise Refused(Reason.NODE_FAULT, type(error).__name__) from error
    return learned


def _give_up(office: Office, run_id: RunId, reason: Reason, *, silence_s: float) -> None:
    """Say that a run failed here, and destroy what is kept of it, unless it had come to its end unheard."""
    insist(partial(say_failed, office, run_id, reason), silence_s=silence_s)
    run = RUNS.find(office.take_view(), run_id)
    if run is None or run.status is not RunStatus.FINISHED:
        forget_rounds(office.custody, run_id)


def _prepare(  # noqa: PLR0913  as both who call it
    office: Office,
    run_id: RunId,
    carrier: Carrier,
    kept: KeptRounds | None,
    *,
    tell: Tell,
    silence_s: float,
) -> tuple[Summing, Programme[Learned], RowsOfSite]:
    """Read what was authorised and this site's rows, once their use is journalled."""
    view = office.take_view()
    authorised = require_authorised(office, view, run_id)
    protocol = fetch_protocol(office, authorised.study, carrier)
    check_spending(protocol, authorised)
    roll = _get_usable_roll(office, view, authorised, protocol)
    if kept is None:
        journal_use(office, view, authorised.study, roll.participants, record=f"run/{run_id}")
        kept = _begin(office, view, run_id, authorised, without=list_erased(office, view, roll))
    begun = kept.begun
    is_as_begun = (begun.network, begun.seats) == (office.author.engine.network, authorised.seats)
    require(is_as_begun, Reason.ROUND_ABORTED, "a site's key, or the network, is another since it began")
    table, rows_key = _load_rows(office.custody, authorised, protocol, without=begun.without)
    number = authorised.study.sites.index(office.member)
    site = split_site(protocol, table, number=number, has_holdout=roll.has_holdout)
    summing = Summing(
        office,
        run_id,
        authorised,
        carrier,
        kept,
        rows=site.table.count_patients(),
        rows_key=rows_key,
        rho=protocol.rho,
        tell=tell,
        silence_s=silence_s,
    )
    asked = _fetch_asked(view, run_id, authorised, protocol, carrier)
    programme = choose_programme(protocol, asked, authorised.study, sites=len(authorised.sites))
    return summing, programme, site


def _get_usable_roll(
    office: Office, view: LedgerView, authorised: Authorised, protocol: ProtocolFile
) -> Roll:
    """Return who is in this site's dataset, where the data may still be used.

    That is asked again: a last day may have passed since they were frozen.
    """
    roll = get_roll(office.custody, authorised.dataset)
    if roll.conditions is not None:
        require_use(roll.conditions, protocol.purpose, day=compute_day(office.tell_time(view)))
    return roll


def _load_rows(
    custody: Custody, authorised: Authorised, protocol: ProtocolFile, *, without: Sequence[PatientId]
) -> tuple[Table, bytes]:
    """Load the rows of those who were not erased by then, where noise hides who is missing; else refuse.

    An exact sum without them, held against one with them, would be about them.
    """
    is_hidden = protocol.spends_micro > 0
    require(is_hidden or not without, Reason.DATASET_NOT_ACTIVE, "somebody in it was erased")
    return load_table(custody, authorised.dataset, protocol.schema, without=without)


def _begin(
    office: Office, view: LedgerView, run_id: RunId, authorised: Authorised, *, without: Sequence[PatientId]
) -> KeptRounds:
    begun = Begun(
        seed=office.custody.entropy(SEED_BYTES),
        at_ms=office.tell_time(view),
        network=office.author.engine.network,
        seats=authorised.seats,
        without=tuple(without),
    )
    return KeptRounds.begin(office.custody, run_id, begun)


def _fetch_asked(
    view: LedgerView, run_id: RunId, authorised: Authorised, protocol: ProtocolFile, carrier: Carrier
) -> Asked | None:
    """Return the question that names a run, None where the study's runs make models."""
    if not protocol.is_for_questions:
        return None
    asked = read_asked(carrier.show_question(run_id), protocol.schema)
    run = authorised.run
    named, _ = find_attempt(view, run.study, run.datasets, asked)
    require(named == run_id, Reason.QUERY_ALREADY_ANSWERED, "another run answers this question")
    return asked


def check_spending(protocol: ProtocolFile, authorised: Authorised) -> None:
    """Refuse a run that was not charged with exactly what its protocol spends."""
    check_budget(protocol, authorised.study.budget_micro)
    is_charged = authorised.run.spends_micro == protocol.spends_micro
    require(is_charged, Reason.BUDGET_EXHAUSTED, "the run was charged with another sum")


def fetch_protocol(office: Office, study: Study, carrier: Carrier) -> ProtocolFile:
    """Return a study's protocol, from the owner where it is not kept here; it is what its hash says.

    What is too large for any site is refused here, for its owner need not have looked.
    """
    protocol = read_protocol(fetch_document(office.custody, study.protocol, carrier.show_document))
    check_protocol(protocol, sites=len(study.sites))
    return protocol


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


def list_interrupted(office: Office) -> list[RunId]:
    """List the runs in which this site took part when its node was killed, and that it can go on with.

    Those with which it cannot, it says to have failed; what is kept of those that failed is destroyed.
    """
    view = office.take_view()
    interrupted = []
    for undertaking in list_undertaken(office.custody, PART):
        name, run = undertaking.run, RUNS.find(view, undertaking.run)
        if run is None or run.status is RunStatus.FAILED:
            forget_rounds(office.custody, name)
        elif run.status is RunStatus.FINISHED or _has_attested(run, office.member):
            continue  # what it kept can be audited
        elif _find_to_go_on(office, view, name) is not None:
            interrupted.append(name)
        else:
            say_failed(office, name, Reason.ROUND_ABORTED)
            forget_rounds(office.custody, name)
    return interrupted


def _find_to_go_on(office: Office, view: LedgerView, run: RunId) -> KeptRounds | None:
    kept = KeptRounds.find(office.custody, run)
    return kept if kept is not None and kept.may_go_on(now_ms=office.tell_time(view)) else None


def list_missed(office: Office, before: int, *, since_ms: int) -> list[RunId]:
    """List the runs of this site's that wait for it and that it has not begun, though they began just now.

    They stand in the log before this index, and are no older than this.
    """
    view = office.take_view()
    begun = {one.run for one in list_undertaken(office.custody, PART)}
    earliest_ms = office.tell_time(view) - since_ms
    missed = []
    for index, leaf in office.author.engine.events(0):
        event: object = leaf.event
        if index >= before:
            break
        if leaf.time_ms >= earliest_ms and isinstance(event, RunStarted) and event.run not in begun:
            run = RUNS.find(view, event.run)
            if run is None or run.status is not RunStatus.RUNNING:
                continue
            if office.member in list_sites(view, run):
                missed.append(event.run)
    return missed


def _has_attested(run: Run, site: MemberId) -> bool:
    return any(one.site == site for one in run.attestations)
