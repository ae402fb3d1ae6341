"""Arrow tables of what the ledger says of learning."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from iamata.learning.protocols import MICRO
from iamata.ledger.entries import StudyStatus
from iamata.ledger.tables import SPENDINGS
from iamata.model.ids import MemberId
from iamata.model.instants import Instant
from iamata.ports import LedgerView
from iamata.workflows import lineages
from iamata.workflows.lineages import (
    Lineages,
    get_study,
    is_model_overdue,
    is_over_time,
    is_overdue,
    list_sites,
    name_reason,
)
from iamata.workflows.model_verification import Statement

EPOCH: Final = date(1970, 1, 1)
_TEXT: Final = pa.string()
_TEXTS: Final = pa.list_(pa.string())
_TIME: Final = pa.timestamp("ms", tz="UTC")
_EPSILON: Final = pa.float64()

STUDIES: Final = pa.schema(
    {
        "study": _TEXT,
        "owner": _TEXT,
        "status": _TEXT,
        "purpose": _TEXT,
        "uses": _TEXTS,
        "sites": _TEXTS,
        "until": pa.date32(),
        "approvals": _TEXTS,
        "rejections": _TEXTS,
        "protocol": _TEXT,
        "code": _TEXT,
    }
)
PERMITS: Final = pa.schema(
    {
        "study": _TEXT,
        "owner": _TEXT,
        "granted_by": _TEXTS,
        "until": pa.date32(),
        "is_revoked": pa.bool_(),
        "budget": _EPSILON,
        "spent": _EPSILON,
        "left": _EPSILON,
    }
)
DATASETS: Final = pa.schema(
    {
        "dataset": _TEXT,
        "study": _TEXT,
        "custodian": _TEXT,
        "status": _TEXT,
        "is_overdue": pa.bool_(),
        "leaves": pa.int64(),
        "height": pa.int64(),
        "confirm_until": _TIME,
        "replaces": _TEXT,
    }
)
RUNS: Final = pa.schema(
    {
        "run": _TEXT,
        "study": _TEXT,
        "status": _TEXT,
        "is_over_time": pa.bool_(),
        "reason": _TEXT,
        "sites": _TEXTS,
        "attested_by": _TEXTS,
        "spends": _EPSILON,
    }
)
MODELS: Final = pa.schema(
    {
        "model": _TEXT,
        "study": _TEXT,
        "run": _TEXT,
        "status": _TEXT,
        "is_overdue": pa.bool_(),
        "supersedes": _TEXT,
        "file": _TEXT,
        "card": _TEXT,
    }
)
STATEMENTS: Final = pa.schema({"name": _TEXT, "ground": _TEXT, "says": _TEXT})
SPENDING: Final = pa.schema({"custodian": _TEXT, "day": pa.date32(), "spent": _EPSILON})


def list_studies(view: LedgerView, found: Lineages) -> pa.Table:
    """Tabulate every study."""
    return _tabulate(
        STUDIES,
        (
            {
                "study": name,
                "owner": entry.owner,
                "status": entry.status.value,
                "purpose": entry.purpose.value,
                "uses": entry.uses,
                "sites": entry.sites,
                "until": _read_day(entry.until_day),
                "approvals": entry.approvals,
                "rejections": entry.rejections,
                "protocol": entry.protocol,
                "code": entry.code,
            }
            for name in found.studies
            for entry in (get_study(view, name),)
        ),
    )


def list_permits(view: LedgerView, found: Lineages) -> pa.Table:
    """Tabulate the permits that were granted, and what is left of their budgets."""
    granted = (StudyStatus.GRANTED, StudyStatus.REVOKED)
    entries = [(name, get_study(view, name)) for name in found.studies]
    return _tabulate(
        PERMITS,
        (
            {
                "study": name,
                "owner": entry.owner,
                "granted_by": entry.approvals,
                "until": _read_day(entry.until_day),
                "is_revoked": entry.status is StudyStatus.REVOKED,
                "budget": entry.budget_micro / MICRO,
                "spent": entry.spent_micro / MICRO,
                "left": (entry.budget_micro - entry.spent_micro) / MICRO,
            }
            for name, entry in entries
            if entry.status in granted
        ),
    )


def list_datasets(view: LedgerView, found: Lineages, *, at_ms: Instant) -> pa.Table:
    """Tabulate every dataset that there ever was."""
    return _tabulate(
        DATASETS,
        (
            {
                "dataset": name,
                "study": entry.study,
                "custodian": entry.custodian,
                "status": entry.status.value,
                "is_overdue": is_overdue(entry, at_ms=at_ms),
                "leaves": entry.leaves,
                "height": entry.height,
                "confirm_until": _read_instant(entry.confirm_until_ms),
                "replaces": entry.replaces,
            }
            for study in found.studies
            for name, entry in lineages.list_datasets(view, found, study)
        ),
    )


def list_runs(view: LedgerView, found: Lineages, *, at_ms: Instant) -> pa.Table:
    """Tabulate every run, and why those failed that did."""
    return _tabulate(
        RUNS,
        (
            {
                "run": name,
                "study": entry.study,
                "status": entry.status.value,
                "is_over_time": is_over_time(entry, at_ms=at_ms),
                "reason": name_reason(found.failures.get(name)),
                "sites": list_sites(view, entry),
                "attested_by": [one.site for one in entry.attestations],
                "spends": entry.spends_micro / MICRO,
            }
            for study in found.studies
            for name, entry in lineages.list_runs(view, found, study)
        ),
    )


def list_models(view: LedgerView, found: Lineages, *, at_ms: Instant) -> pa.Table:
    """Tabulate every model."""
    return _tabulate(
        MODELS,
        (
            {
                "model": name,
                "study": entry.study,
                "run": entry.run,
                "status": entry.status.value,
                "is_overdue": is_model_overdue(view, entry, at_ms=at_ms),
                "supersedes": entry.supersedes,
                "file": entry.content,
                "card": entry.card,
            }
            for name, entry in lineages.list_models(view, found)
        ),
    )


def list_spending(view: LedgerView, found: Lineages) -> pa.Table:
    """Tabulate what the custodians that any study asked have spent of their patients' privacy, by day."""
    asked = sorted({site for name in found.studies for site in get_study(view, name).sites})
    return _tabulate(SPENDING, (row for custodian in asked for row in _list_days(view, custodian)))


def list_statements(statements: Iterable[Statement]) -> pa.Table:
    """Tabulate what a model was found to rest on."""
    rows = ({"name": one.name, "ground": one.ground.value, "says": one.says} for one in statements)
    return _tabulate(STATEMENTS, rows)


def _list_days(view: LedgerView, custodian: MemberId) -> Iterable[dict[str, Any]]:
    spending = SPENDINGS.find(view, custodian)
    for day, micro in () if spending is None else spending.days:
        yield {"custodian": custodian, "day": _read_day(day), "spent": micro / MICRO}


def _tabulate(schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema)


def _read_day(day: int) -> date:
    return EPOCH + timedelta(days=day)


def _read_instant(instant_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=instant_ms)
