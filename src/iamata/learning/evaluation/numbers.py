"""Evaluate a model of numbers or counts from sums over sites: how near it comes, for whom, and how surely.

Each site counts its rows first; so the scale of what is summed then is as fine as so many rows allow, and
variances are taken around known means. What is published tells of no part with fewer patients than the
study allows, nor with fewer above the outcome's lowest value, which in a count are those to whom anything
happened; nor does it let anybody find such a part by subtraction. Forecasts beyond the outcome's bounds
count as the bound.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
import numpy as np

from iamata.learning.estimators.predictions import cut_forecasts
from iamata.learning.evaluation.curves import NORMAL_95, Estimate
from iamata.learning.evaluation.evaluating import Plan
from iamata.learning.evaluation.number_calibration import (
    CELL_PARTS,
    NumberCalibration,
    Parts,
    calibrate_numbers,
    fill_cells,
)
from iamata.learning.evaluation.subgroups import choose_shown
from iamata.learning.holders import is_enough, share_patients
from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values, choose_bits, round_rows
from iamata.learning.schemas import Outcome
from iamata.learning.tables import ROWS_MAX, Floats, Table
from iamata.model.reasons import Reason, require

COUNT_BITS: Final = choose_bits(ROWS_MAX)
SQUARE_MAX: Final = 4.0
"""Two numbers within the outcome's bounds differ by two of its half-widths at most."""
EXPECTED_MIN: Final = 1e-9
"""No expected count is taken for less: where it were 0 and something happens, deviance has no bound."""
DEVIANCE_MAX: Final = 128.0
"""No row's deviance is more, in units of the highest count, which is NUMBER_MAX at most."""
STEPS_MIN: Final = 1_000
"""Where the outcome's variance is fewer steps of the scale than this, R² is not told."""

Predict = Callable[[Table], Floats]
"""Gives the expected outcome of each row."""


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """How near forecasts come to what was observed, in the outcome's unit."""

    rows: int
    mean: float
    """The mean of what was observed."""
    mean_error: Estimate
    """The mean of expected less observed: 0 is right on average."""
    absolute_error: float
    root_mean_square_error: float
    explained: float | None
    """R², the part of the outcome's variance that is explained; None where the outcome hardly varies."""
    deviance: float | None = None
    """The mean Poisson deviance, of a count; None for a number."""


class ErrorsInGroup(msgspec.Struct, frozen=True, kw_only=True):
    """How near the model comes for a group. None where it, or what is left, has too few patients."""

    label: str
    errors: Errors | None = None


class NumberEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found out about a model of numbers or counts on rows that it had not seen."""

    errors: Errors
    calibration: tuple[NumberCalibration, ...]
    groups: tuple[ErrorsInGroup, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.errors.rows


def evaluate_numbers(
    predict: Predict, model_id: str, outcome: Outcome, plan: Plan
) -> Programme[NumberEvaluation]:
    """Evaluate a model, in two exchanges. `model_id` names what `predict` computes, for queries' digests.

    Refuses too few patients, and an outcome that is the same for all.
    """
    given = {"model": model_id, "plan": msgspec.to_builtins(plan)}
    counted = yield Query("outcomes", _lay_out_counts(plan), partial(count_outcomes, plan), given)
    rows, patients = counted["rows"], (counted["patients"], counted["above"])
    least = min(float(one[0]) for one in patients)
    require(is_enough(least, plan.patients_min), Reason.TOO_FEW_PATIENTS)
    middle, half = _get_range(outcome)
    means = middle + half * (counted["outcome"] / np.maximum(rows, 1.0))
    bits = choose_bits(float(rows[0]), largest=SQUARE_MAX)
    deviance_bits = choose_bits(float(rows[0]), largest=DEVIANCE_MAX)
    parts = _lay_out_errors(plan, bits, deviance_bits)
    given = {**given, "means": means, "bits": bits, "deviance_bits": deviance_bits}
    sums = yield Query("errors", parts, partial(add_up_errors, predict, plan), given)
    require(float(sums["spread"][0]) > 0, Reason.ONE_CLASS_ONLY)
    told = partial(_describe, outcome, bits, {**sums, "rows": rows, "means": means})
    shown = choose_shown(plan.groups, rows, patients, patients_min=plan.patients_min)
    return NumberEvaluation(
        errors=told(0),
        calibration=tuple(
            calibrate_numbers(
                sums,
                outcome,
                mean=float(means[0]),
                groups=plan.calibration_groups,
                patients_min=plan.patients_min,
            )
        ),
        groups=tuple(
            ErrorsInGroup(label=group.label, errors=told(place) if place in shown else None)
            for place, group in enumerate(plan.groups, start=1)
        ),
    )


def count_number_values(plan: Plan) -> int:
    """Count the values of the longer of an evaluation's two queries."""
    lengths = (
        sum(part.length for part in parts) for parts in (_lay_out_counts(plan), _lay_out_errors(plan))
    )
    return max(lengths)


def count_outcomes(plan: Plan, _given: Given, site: Site) -> Values:
    """Count a site's rows and patients by group, and add up outcomes on the scale of the public bounds."""
    outcome, observed = site.table.schema.outcome, site.table.outcome
    middle, half = _get_range(outcome)
    scaled = round_rows((observed - middle) / half, COUNT_BITS)
    patients, above = _share(site.table, COUNT_BITS)
    chosen = _choose(plan, site)
    return {
        "rows": np.array([float(one.sum()) for one in chosen]),
        "patients": np.array([patients[one].sum() for one in chosen]),
        "above": np.array([above[one].sum() for one in chosen]),
        "outcome": np.array([scaled[one].sum() for one in chosen]),
    }


def add_up_errors(predict: Predict, plan: Plan, given: Given, site: Site) -> Values:
    """Add up a site's errors by group, and outcomes by cell of forecast, on the scale of the public bounds.

    No row adds more than the scale was chosen for: outcomes are within their bounds, and forecasts are cut.
    """
    outcome, observed = site.table.schema.outcome, site.table.outcome
    means = np.asarray(given["means"], dtype=np.float64)
    bits, deviance_bits = int(str(given["bits"])), int(str(given["deviance_bits"]))
    expected = cut_forecasts(outcome, predict(site.table))
    _, half = _get_range(outcome)
    error = (expected - observed) / half
    rows = {
        "error": round_rows(error, bits),
        "absolute": round_rows(np.abs(error), bits),
        "square": round_rows(error * error, bits),
    }
    if outcome.kind == "count":
        rows["deviance"] = round_rows(compute_deviance(expected, observed) / outcome.high, deviance_bits)
    chosen = _choose(plan, site)
    away = [(observed[one] - mean) / half for one, mean in zip(chosen, means, strict=True)]
    return {
        "spread": np.array([round_rows(one * one, bits).sum() for one in away]),
        "deviance": np.zeros(len(chosen)),
        **{name: np.array([values[one].sum() for one in chosen]) for name, values in rows.items()},
        **fill_cells(
            site.table,
            _share(site.table, bits),
            plan.cells,
            bits,
            expected=expected,
            mean=float(means[0]),
        ),
    }


def compute_deviance(expected: Floats, observed: Floats) -> Floats:
    """Return each row's Poisson deviance: 0 where what was expected happened."""
    expected = np.maximum(expected, EXPECTED_MIN)
    ratio = np.divide(observed, expected, out=np.ones_like(expected), where=observed > 0)
    return 2.0 * np.maximum(0.0, observed * np.log(ratio) - observed + expected)


def _describe(outcome: Outcome, bits: int, sums: Values, place: int) -> Errors:
    count, (_, half), step = float(sums["rows"][place]), _get_range(outcome), math.ldexp(1.0, -bits)
    names = ("error", "absolute", "square", "spread", "deviance")
    error, absolute, square, spread, deviance = (float(sums[name][place]) / count for name in names)
    reach = NORMAL_95 * math.sqrt(max(0.0, square - error * error) / (count - 1.0))
    return Errors(
        rows=int(count),
        mean=float(sums["means"][place]),
        mean_error=Estimate(
            value=half * error,
            low=half * (error - reach),
            high=half * (error + reach),
            resolution=half * step / 2,
        ),
        absolute_error=half * absolute,
        root_mean_square_error=half * math.sqrt(square),
        explained=1.0 - square / spread if spread >= STEPS_MIN * step else None,
        deviance=outcome.high * deviance if outcome.kind == "count" else None,
    )


def _choose(plan: Plan, site: Site) -> list[np.ndarray]:
    """Tell which rows are everybody's, and which each group's."""
    everyone = np.full(len(site.table), fill_value=True)
    return [everyone, *(group.select(site) for group in plan.groups)]


def _share(table: Table, bits: int) -> Parts:
    """Return each row's part of its patient, and of one above the outcome's lowest value."""
    is_above = table.outcome > table.schema.outcome.lowest
    whole = share_patients(table)
    above = np.where(is_above, share_patients(table, is_above.astype(np.int64)), 0.0)
    return round_rows(whole, bits), round_rows(above, bits)


def _get_range(outcome: Outcome) -> tuple[float, float]:
    """Return the middle and half the width of an outcome's bounds."""
    return (outcome.low + outcome.high) / 2, (outcome.high - outcome.low) / 2


def _lay_out_counts(plan: Plan) -> tuple[Part, ...]:
    parts = len(plan.groups) + 1
    return (
        Part("rows", parts),
        Part("patients", parts, COUNT_BITS),
        Part("above", parts, COUNT_BITS),
        Part("outcome", parts, COUNT_BITS),
    )


def _lay_out_errors(plan: Plan, bits: int = 0, deviance_bits: int = 0) -> tuple[Part, ...]:
    parts = len(plan.groups) + 1
    return (
        *(Part(name, parts, bits) for name in ("error", "absolute", "square", "spread")),
        Part("deviance", parts, deviance_bits),
        *(Part(name, plan.cells, bits if is_scaled else 0) for name, is_scaled in CELL_PARTS),
    )
