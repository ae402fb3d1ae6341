"""How a study's owner begins a run, be it to train or to answer a question."""

from collections.abc import Sequence
from typing import Final

from iamata.learning.protocols import MICRO
from iamata.learning.secure_sum.plans import SITES_MIN
from iamata.ledger.entries import Dataset, MemberStatus, ModelStatus, Study
from iamata.ledger.tables import DATASETS, MEMBERS, MODELS, SPENDINGS
from iamata.ledger.transactions.models import MODELS_MAX
from iamata.ledger.transactions.runs import BUDGET_DAYS, CUSTODIAN_BUDGET_MICRO, RUN_MS_MAX, StartRun
from iamata.model.ids import DatasetId, MemberId, ModelId, PersonId, RunId, StudyId
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.workflows.documents import get_protocol
from iamata.workflows.lineages import get_study
from iamata.workflows.office import Office
from iamata.workflows.reviewed_code import compute_code_digest

RUN_MS: Final = MS_PER_HOUR

assert RUN_MS <= RUN_MS_MAX  # noqa: S101  what we ask for is what the rules allow


def list_standing(
    office: Office, view: LedgerView, study: Study, *, without: Sequence[MemberId] = ()
) -> tuple[DatasetId, ...]:
    """List a study's datasets that stand, in their custodians' order; refuse where there is none.

    Those of suspended members do not, and the sites in `without` are left out.
    """
    unknown = [one for one in without if one not in study.sites]
    known = f"the study's sites are {', '.join(study.sites)}, and not {', '.join(unknown)}"
    require(not unknown, Reason.NOT_A_SITE, known)
    now_ms = office.tell_time(view)
    standing: dict[MemberId, DatasetId] = {}
    for dataset_id in study.datasets:
        dataset = DATASETS.find(view, dataset_id)
        if dataset is None or dataset.custodian in without or not _is_active(view, dataset.custodian):
            continue
        if dataset.confirm_until_ms > now_ms:
            standing[dataset.custodian] = dataset_id
    require(bool(standing), Reason.DATASET_NOT_ACTIVE, "no site has one that stands")
    return tuple(standing[one] for one in sorted(standing))


def require_fruitful(view: LedgerView, datasets: tuple[DatasetId, ...]) -> None:
    """Refuse before anything is spent where nothing can come of a run, or the ledger would not take it."""
    few = "a sum over fewer than three: the sites that are not left out and have no dataset may build one"
    require(len(datasets) >= SITES_MIN, Reason.TOO_FEW_SITES, few)
    entries = [entry for one in datasets if (entry := DATASETS.find(view, one)) is not None]
    is_room = all(_count_in_use(view, one) < MODELS_MAX for one in entries)
    require(is_room, Reason.TOO_LARGE, f"{MODELS_MAX} models or answers rest on a dataset already")


def require_supersedable(view: LedgerView, study_id: StudyId, model: ModelId | None) -> None:
    """Refuse to begin a run whose model is to take the place of one that the ledger would not let go."""
    if model is not None:
        older = MODELS.find(view, model)
        is_older = (
            older is not None and older.study == study_id and older.status is not ModelStatus.SUPERSEDED
        )
        require(is_older, Reason.UNKNOWN_MODEL, "no model of this study's that is in its place")


def _is_active(view: LedgerView, name: MemberId) -> bool:
    member = MEMBERS.find(view, name)
    return member is not None and member.status is MemberStatus.ACTIVE


def _count_in_use(view: LedgerView, dataset: Dataset) -> int:
    """Count a dataset's models and answers as the ledger does, when it takes one more."""
    over = (ModelStatus.RETIRED, ModelStatus.SUPERSEDED)
    entries = [MODELS.find(view, one) for one in dataset.models]
    return sum(one is not None and one.status not in over for one in entries)


def submit_run(
    office: Office, study_id: StudyId, researcher: PersonId, *, run: RunId, datasets: tuple[DatasetId, ...]
) -> None:
    """Put a run on the ledger; refused where a budget is exhausted, and whose. It ends with its permit."""
    view = office.take_view()
    study = get_study(view, study_id)
    spends_micro, now_ms = get_protocol(office.custody, study).spends_micro, office.tell_time(view)
    try:
        office.author.submit(
            StartRun,
            run=run,
            study=study_id,
            researcher=researcher,
            code=compute_code_digest(),
            datasets=datasets,
            spends_micro=spends_micro,
            until_ms=Instant(min(now_ms + RUN_MS, MS_PER_DAY * (study.until_day + 1) - 1)),
        )
    except Refused as refused:
        if refused.reason is not Reason.BUDGET_EXHAUSTED:
            raise
        found = [entry for one in datasets if (entry := DATASETS.find(view, one)) is not None]
        custodians, day = [one.custodian for one in found], compute_day(now_ms)
        exhausted = _spell_exhausted(office.take_view(), study_id, custodians, spends_micro, day=day)
        raise Refused(refused.reason, exhausted) from refused


def _spell_exhausted(
    view: LedgerView, study_id: StudyId, custodians: Sequence[MemberId], spends_micro: int, *, day: Day
) -> str:
    """Say whose budget a run was too dear for, as the ledger's rules ask: the study's, or a custodian's."""
    study, spends = get_study(view, study_id), spends_micro / MICRO
    left_micro = study.budget_micro - study.spent_micro
    if spends_micro > left_micro:
        of = f"of the study's ε = {study.budget_micro / MICRO:g}"
        return f"{of}, {left_micro / MICRO:g} is left, and this takes {spends:g}"
    lefts = {one: CUSTODIAN_BUDGET_MICRO - _sum_year(view, one, day=day) for one in custodians}
    spent = ", ".join(f"{one} {left / MICRO:g}" for one, left in lefts.items() if left < spends_micro)
    of = f"of the ε = {CUSTODIAN_BUDGET_MICRO / MICRO:g} that all studies may spend at a custodian"
    return f"{of} in {BUDGET_DAYS} days, there is left at {spent}; this takes {spends:g}"


def _sum_year(view: LedgerView, custodian: MemberId, *, day: Day) -> int:
    spending = SPENDINGS.find(view, custodian)
    return sum(spent for on, spent in (() if spending is None else spending.days) if on > day - BUDGET_DAYS)
