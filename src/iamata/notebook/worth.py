"""What a model is worth, as tables: its figures, its curves, and what it is worth for groups."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import pyarrow as pa

from iamata.learning.evaluation.curves import Estimate, list_precision_points
from iamata.learning.evaluation.evaluating import Evaluation
from iamata.learning.evaluation.kinds import AnyEvaluation, read_evaluation
from iamata.learning.evaluation.numbers import Errors, NumberEvaluation
from iamata.ledger.entries import Attestation
from iamata.model.ids import Digest
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.documents import compute_transcript
from iamata.workflows.model_cards import WORTH, find_rounds, list_figures

Figure: TypeAlias = tuple[str, float | None, float | None, float | None, float | None]
"""A figure's name, its value, the bounds of its interval and its resolution, where it has any."""
NO_INTERVAL: Final = (None, None, None)


@dataclass(frozen=True)
class Worth:
    """An evaluation on patients who were kept out of training. What is about too few is null."""

    rows: int
    rate: float
    """Which part of the rows has the outcome."""
    figures: pa.Table
    """AUROC, AUPRC, Brier score and accuracy at 0.5; the first two within 95 % intervals.

    `resolution` is how far counting in cells may have moved a figure; its interval has room for that.
    """
    roc: pa.Table
    precision_recall: pa.Table
    calibration: pa.Table
    """Groups of rows with neighbouring scores: expected and observed rate, and its 95 % interval."""
    thresholds: pa.Table
    """What comes of saying yes from a probability on."""
    groups: pa.Table


@dataclass(frozen=True)
class NumberWorth:
    """An evaluation of numbers or counts, in the outcome's unit. What is about too few is null."""

    rows: int
    mean: float
    """The mean outcome of the rows."""
    figures: pa.Table
    """Mean error within its 95 % interval, mean absolute error, RMSE, R² and, of a count, mean deviance."""
    calibration: pa.Table
    """Groups of rows with neighbouring forecasts: mean expected and observed, and its 95 % interval."""
    groups: pa.Table


def read_worth(
    card: bytes, attestations: Sequence[Attestation], fetch: Callable[[Digest], bytes]
) -> Worth | NumberWorth:
    """Return what the figures beside a card say, or refuse what the sites did not attest."""
    named = [digest for name, digest in list_figures(card).items() if name.endswith(WORTH)]
    rounds = find_rounds(card)
    require(bool(named) and rounds is not None, Reason.NOT_FOUND, "it was not evaluated")
    raw = fetch(named[0])
    evaluation = read_evaluation(raw)
    if evaluation is None or rounds is None:
        raise Refused(Reason.NOT_FOUND, "it was not evaluated")
    attested = {one.transcript for one in attestations}
    require(attested == {compute_transcript(rounds, raw)}, Reason.BODY_CHANGED, "what the sites attested")
    return describe(evaluation)


def describe(evaluation: AnyEvaluation) -> Worth | NumberWorth:
    """Put an evaluation into tables."""
    if isinstance(evaluation, NumberEvaluation):
        return NumberWorth(
            rows=evaluation.rows,
            mean=evaluation.errors.mean,
            figures=_tabulate_figures(_list_errors(evaluation.errors)),
            calibration=_tabulate_calibration(evaluation),
            groups=_tabulate_errors(evaluation),
        )
    return _describe_ranks(evaluation)


def _describe_ranks(evaluation: Evaluation) -> Worth:
    precision = list_precision_points(evaluation.roc, rate=evaluation.rate)
    return Worth(
        rows=evaluation.rows,
        rate=evaluation.rate,
        figures=_tabulate_figures(_list_ranks(evaluation)),
        roc=_tabulate(evaluation.roc, "false_positive_rate", "true_positive_rate"),
        precision_recall=pa.table(
            {
                "recall": pa.array([recall for recall, _ in precision], pa.float64()),
                "precision": pa.array([one for _, one in precision], pa.float64()),
            }
        ),
        calibration=_tabulate_calibration(evaluation),
        thresholds=_tabulate(
            evaluation.thresholds,
            *("threshold", "sensitivity", "specificity", "positive_predictive_value"),
            *("negative_predictive_value", "accuracy"),
        ),
        groups=_tabulate_groups(evaluation),
    )


def _list_ranks(evaluation: Evaluation) -> list[Figure]:
    return [
        _spread("auroc", evaluation.auroc),
        _spread("auprc", evaluation.auprc),
        ("brier", evaluation.brier, *NO_INTERVAL),
        ("accuracy", evaluation.accuracy, *NO_INTERVAL),
    ]


def _list_errors(errors: Errors) -> list[Figure]:
    return [
        _spread("mean_error", errors.mean_error),
        ("absolute_error", errors.absolute_error, *NO_INTERVAL),
        ("root_mean_square_error", errors.root_mean_square_error, *NO_INTERVAL),
        ("explained", errors.explained, *NO_INTERVAL),
        *([] if errors.deviance is None else [("deviance", errors.deviance, *NO_INTERVAL)]),
    ]


def _spread(name: str, one: Estimate) -> Figure:
    return name, one.value, one.low, one.high, one.resolution


def _tabulate_figures(rows: Iterable[Figure]) -> pa.Table:
    names = ("figure", "value", "low", "high", "resolution")
    schema = pa.schema([(names[0], pa.string()), *((name, pa.float64()) for name in names[1:])])
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema)


def _tabulate_calibration(evaluation: AnyEvaluation) -> pa.Table:
    schema = pa.schema(
        [("rows", pa.int64()), *((name, pa.float64()) for name in ("expected", "observed", "low", "high"))]
    )
    rows = [
        {
            "rows": one.rows,
            "expected": one.expected,
            "observed": one.observed.value,
            "low": one.observed.low,
            "high": one.observed.high,
        }
        for one in evaluation.calibration
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _tabulate_groups(evaluation: Evaluation) -> pa.Table:
    numbers = ("rate", "auroc", "auroc_low", "auroc_high", "brier", "expected_rate", "accuracy")
    schema = pa.schema(
        [("group", pa.string()), ("rows", pa.int64()), *((name, pa.float64()) for name in numbers)]
    )
    rows = [
        {
            "group": one.label,
            "rows": one.rows,
            "rate": one.rate,
            "auroc": None if one.auroc is None else one.auroc.value,
            "auroc_low": None if one.auroc is None else one.auroc.low,
            "auroc_high": None if one.auroc is None else one.auroc.high,
            "brier": one.brier,
            "expected_rate": one.expected_rate,
            "accuracy": one.accuracy,
        }
        for one in evaluation.groups
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _tabulate_errors(evaluation: NumberEvaluation) -> pa.Table:
    """Put what the model is worth for groups into a table, the mean error by itself with its interval."""
    named = ("mean", "mean_error", "mean_error_low", "mean_error_high")
    numbers = (*named, "absolute_error", "root_mean_square_error", "explained", "deviance")
    schema = pa.schema(
        [("group", pa.string()), ("rows", pa.int64()), *((name, pa.float64()) for name in numbers)]
    )
    rows = []
    for one in evaluation.groups:
        found = {} if one.errors is None else msgspec.to_builtins(one.errors)
        bias = found.get("mean_error", {})
        row = {**found, "mean_error": bias.get("value")}
        row |= {"mean_error_low": bias.get("low"), "mean_error_high": bias.get("high")}
        rows.append(
            {"group": one.label, "rows": found.get("rows"), **{name: row.get(name) for name in numbers}}
        )
    return pa.Table.from_pylist(rows, schema=schema)


def _tabulate(rows: Iterable[Any], *names: str) -> pa.Table:
    """Put numbers that have these names into a table."""
    schema = pa.schema([(name, pa.float64()) for name in names])
    return pa.Table.from_pylist([msgspec.to_builtins(one) for one in rows], schema=schema)
