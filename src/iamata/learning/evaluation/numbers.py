"""Evaluate a model of numbers or counts from sums over sites."""

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
import numpy as np

from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values, choose_bits
from iamata.learning.schemas import Outcome
from iamata.learning.tables import ROWS_MAX, Floats, Table
from iamata.model.reasons import Reason, require

ROWS_MIN: Final = 10
NAMES: Final = ("error", "absolute", "square", "total", "total_square")


class NumberEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """How near a model of numbers or counts comes, on rows that it had not seen."""

    rows: int
    mean_error: float
    """The mean of expected less observed, in the outcome's unit: 0 is calibrated."""
    absolute_error: float
    root_mean_square_error: float
    explained: float
    """R²: which part of the outcome's variance the model explains."""


def evaluate_numbers(
    predict: Callable[[Table], Floats], model_id: str, outcome: Outcome
) -> Programme[NumberEvaluation]:
    """Evaluate a model, in one exchange; refuses too few rows, and an outcome that is the same for all."""
    bits = choose_bits(ROWS_MAX)
    parts = (Part("rows", 1), *(Part(name, 1, bits) for name in NAMES))
    sums = yield Query("numbers", parts, partial(compute_errors, predict, outcome), {"model": model_id})
    rows = float(sums["rows"][0])
    require(rows >= ROWS_MIN, Reason.TOO_FEW_PATIENTS)
    error, absolute, square, total, total_square = (float(sums[name][0]) / rows for name in NAMES)
    variance = total_square - total * total
    require(variance > 0, Reason.ONE_CLASS_ONLY)
    half = (outcome.high - outcome.low) / 2
    return NumberEvaluation(
        rows=int(rows),
        mean_error=half * error,
        absolute_error=half * absolute,
        root_mean_square_error=half * math.sqrt(max(0.0, square)),
        explained=1.0 - square / variance,
    )


def compute_errors(
    predict: Callable[[Table], Floats], outcome: Outcome, _given: Given, site: Site
) -> Values:
    """Add up a site's errors, on the scale of the public bounds, to which forecasts are cut."""
    middle, half = (outcome.low + outcome.high) / 2, (outcome.high - outcome.low) / 2
    expected = np.clip((predict(site.table) - middle) / half, -1.0, 1.0)
    observed = (site.table.outcome - middle) / half
    error = expected - observed
    columns = (error, np.abs(error), error * error, observed, observed * observed)
    sums = {name: np.array([one.sum()]) for name, one in zip(NAMES, columns, strict=True)}
    return {"rows": np.array([len(site.table)], dtype=np.float64), **sums}
