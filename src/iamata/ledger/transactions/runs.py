"""Runs: a training that a permit and its datasets authorise, and what its sites attest."""

from typing import Annotated, Final

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import (
    Attestation,
    Dataset,
    DatasetStatus,
    Quantity,
    Role,
    Run,
    RunStatus,
    Spending,
    Study,
)
from iamata.ledger.events import RunAttested, RunFailed, RunStarted
from iamata.ledger.transaction import Transaction, is_ascending
from iamata.ledger.transactions.studies import SITES_MAX, require_permit
from iamata.model.ids import DatasetId, Digest, MemberId, PersonId, RunId, StudyId
from iamata.model.instants import MS_PER_DAY, Day, Instant
from iamata.model.reasons import Reason, require

RUN_MS_MAX: Final = MS_PER_DAY
CUSTODIAN_BUDGET_MICRO: Final = 10_000_000
"""The ε, in millionths, that all studies together may spend at one custodian within a rolling year."""
BUDGET_DAYS: Final = 365
REASON_MIN: Final = 100
REASON_MAX: Final = 999
ReasonNumber = Annotated[int, msgspec.Meta(ge=REASON_MIN, le=REASON_MAX)]
"""A number of a reason; which of them mean something differs from program to program, and no rule asks."""
DatasetList = Annotated[tuple[DatasetId, ...], msgspec.Meta(min_length=1, max_length=SITES_MAX)]


class StartRun(Transaction, tag="run.start"):
    """Begin a training for a researcher of the owner's, on the datasets of the sites that take part."""

    run: RunId
    study: StudyId
    researcher: PersonId
    code: Digest
    datasets: DatasetList
    spends_micro: Quantity
    until_ms: Instant


class AttestRun(Transaction, tag="run.attest"):
    """Say, as a site, which model came out, and by which transcript of sums."""

    run: RunId
    code: Digest
    model: Digest
    transcript: Digest


class FailRun(Transaction, tag="run.fail"):
    """Say that a training came to nothing."""

    run: RunId
    reason: ReasonNumber


def start_run(tx: StartRun, ctx: Context) -> RunStarted:
    """Authorise a training, and take what it spends from the study's and the custodians' budgets."""
    owner = ctx.member
    study = require_permit(tx.study, ctx)
    require(owner == study.owner, Reason.NOT_THE_OWNER)
    check_researcher(tx.researcher, owner, ctx)
    require(tx.run not in ctx.state.runs, Reason.RUN_ALREADY_EXISTS)
    require(tx.code == study.code, Reason.CODE_NOT_REVIEWED)
    require(ctx.time_ms < tx.until_ms <= ctx.time_ms + RUN_MS_MAX, Reason.EXPIRES_TOO_LATE)
    custodians = check_datasets(tx, ctx)
    check_budget(tx.spends_micro, study)
    spendings = [(one, add_spending(one, tx.spends_micro, ctx)) for one in custodians if tx.spends_micro]

    for custodian, spending in spendings:
        ctx.state.spendings[custodian] = spending
    ctx.state.studies[tx.study] = msgspec.structs.replace(
        study, spent_micro=study.spent_micro + tx.spends_micro
    )
    ctx.state.runs[tx.run] = Run(
        study=tx.study,
        researcher=tx.researcher,
        datasets=tx.datasets,
        spends_micro=tx.spends_micro,
        until_ms=tx.until_ms,
    )

    return RunStarted(run=tx.run, study=tx.study)


def attest_run(tx: AttestRun, ctx: Context) -> RunAttested:
    """Record a site's word, which agrees with every word before it."""
    site = ctx.member
    run = require_running(tx.run, ctx)
    require(site in list_sites(run, ctx), Reason.NOT_A_SITE)
    require(tx.code == ctx.state.studies[run.study].code, Reason.CODE_NOT_REVIEWED)
    require(all(one.site != site for one in run.attestations), Reason.ALREADY_ATTESTED)
    said = (tx.model, tx.transcript)
    require(all((one.model, one.transcript) == said for one in run.attestations), Reason.SITES_DISAGREE)

    attestation = Attestation(site=site, model=tx.model, transcript=tx.transcript)
    ctx.state.runs[tx.run] = msgspec.structs.replace(run, attestations=(*run.attestations, attestation))

    return RunAttested(run=tx.run, site=site, model=tx.model)


def fail_run(tx: FailRun, ctx: Context) -> RunFailed:
    """Close a run without a model; its owner and its sites may, in time or late."""
    member = ctx.member
    run = ctx.state.runs[tx.run]
    is_party = member == ctx.state.studies[run.study].owner or member in list_sites(run, ctx)
    require(is_party, Reason.NOT_A_SITE)
    require(run.status is RunStatus.RUNNING, Reason.RUN_OVER)

    ctx.state.runs[tx.run] = msgspec.structs.replace(run, status=RunStatus.FAILED)

    return RunFailed(run=tx.run, member=member, reason=tx.reason)


def check_researcher(researcher: PersonId, owner: MemberId, ctx: Context) -> None:
    """Refuse anybody but an active researcher of the owner's."""
    person = ctx.state.persons[researcher]
    require(person.is_active and person.member == owner, Reason.PERSON_NOT_ACTIVE)
    require(Role.RESEARCHER in person.roles, Reason.ROLE_MISSING)


def check_datasets(tx: StartRun, ctx: Context) -> list[MemberId]:
    """Return whose datasets these are, or refuse one that is over, overdue, or another study's."""
    custodians: list[MemberId] = []
    for dataset_id in tx.datasets:
        dataset = ctx.state.datasets[dataset_id]
        is_ready = dataset.study == tx.study and is_standing(dataset, ctx)
        require(is_ready, Reason.DATASET_NOT_ACTIVE)
        ctx.require_active(dataset.custodian)
        custodians.append(dataset.custodian)
    require(is_ascending(custodians), Reason.MALFORMED, "one dataset a custodian, in the custodians' order")
    return custodians


def is_standing(dataset: Dataset, ctx: Context) -> bool:
    """Tell whether a dataset is active and its custodian's word on it not overdue."""
    return dataset.status is DatasetStatus.ACTIVE and ctx.time_ms <= dataset.confirm_until_ms


def check_budget(spends_micro: int, study: Study) -> None:
    """Refuse to spend more than the reviewers granted; where sums were to be noisy, none is exact."""
    is_exact = study.budget_micro == 0
    require(is_exact == (spends_micro == 0), Reason.BUDGET_EXHAUSTED)
    require(study.spent_micro + spends_micro <= study.budget_micro, Reason.BUDGET_EXHAUSTED)


def add_spending(custodian: MemberId, spends_micro: int, ctx: Context) -> Spending:
    """Return a custodian's spending of the last year with this one added, or refuse what is too much."""
    known = ctx.state.spendings.find(custodian)
    first = ctx.block_day - BUDGET_DAYS + 1
    sums = {day: spent for day, spent in (() if known is None else known.days) if day >= first}
    sums[ctx.block_day] = sums.get(ctx.block_day, 0) + spends_micro
    require(sum(sums.values()) <= CUSTODIAN_BUDGET_MICRO, Reason.BUDGET_EXHAUSTED)
    return Spending(days=tuple((Day(day), sums[day]) for day in sorted(sums)))


def require_running(run_id: RunId, ctx: Context) -> Run:
    """Return a run under way, or refuse."""
    run = ctx.state.runs[run_id]
    require(run.status is RunStatus.RUNNING and ctx.time_ms <= run.until_ms, Reason.RUN_OVER)
    return run


def list_sites(run: Run, ctx: Context) -> list[MemberId]:
    """List whose datasets a run reads."""
    return [ctx.state.datasets[one].custodian for one in run.datasets]
