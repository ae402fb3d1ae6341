"""What was expected of rows with neighbouring forecasts of a number or a count, and what was observed."""

import math
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from iamata.learning.evaluation.curves import NORMAL_95, Estimate
from iamata.learning.programmes import Values, round_rows
from iamata.learning.schemas import Outcome
from iamata.learning.tables import Floats, Integers

CELL_PARTS: Final = (
    ("rows_in", False),
    ("above_in", False),
    ("expected_in", True),
    ("observed_in", True),
    ("squares_in", True),
)
"""What is summed by cell: rows, those above the lowest outcome, and numbers on the outcome's scale."""


class NumberCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with neighbouring forecasts: the mean of what was expected of them, and of what was observed."""

    rows: int
    up_to: float
    """The forecast at which the group ends and the next begins."""
    expected: float
    observed: Estimate


def find_number_cells(outcome: Outcome, forecast: Floats, cells: int) -> Integers:
    """Return the cell of each forecast within the bounds: even steps, for counts of its square root."""
    place = (forecast - outcome.low) / (outcome.high - outcome.low)
    even = np.sqrt(place) if outcome.kind == "count" else place
    return np.clip(np.floor(even * cells), 0, cells - 1).astype(np.int64)


def fill_cells(  # noqa: PLR0913  rows, and how they are counted
    outcome: Outcome, cells: int, bits: int, *, expected: Floats, observed: Floats, mean: float
) -> Values:
    """Add up rows by cell of forecast: how many there are, and how far they lie from the mean of all."""
    half = (outcome.high - outcome.low) / 2
    cell = find_number_cells(outcome, expected, cells)
    away = (observed - mean) / half

    def count(cell: Integers, weights: Floats | None = None) -> Floats:
        return np.bincount(cell, weights, minlength=cells).astype(np.float64)

    return {
        "rows_in": count(cell),
        "above_in": count(cell[observed > outcome.lowest]),
        "expected_in": count(cell, round_rows((expected - mean) / half, bits)),
        "observed_in": count(cell, round_rows(away, bits)),
        "squares_in": count(cell, round_rows(away * away, bits)),
    }


def calibrate_numbers(
    sums: Values, outcome: Outcome, *, mean: float, groups: int, rows_min: int
) -> Iterator[NumberCalibration]:
    """Cut the rows by rising forecast into groups of about equal size, none smaller than may be shown.

    Each has at least `rows_min` rows, and as many above the outcome's lowest value.
    """
    rows, above = np.cumsum(sums["rows_in"]).tolist(), np.cumsum(sums["above_in"]).tolist()
    start, held, risen = 0, 0.0, 0.0
    for end, (count, over) in enumerate(zip(rows, above, strict=True), start=1):
        is_full = count - held >= max(rows_min, rows[-1] / groups)
        is_shown = min(over - risen, above[-1] - over) >= rows_min  # nor are those who are left few
        if end == len(rows) or (is_full and is_shown):
            yield _describe(sums, outcome, slice(start, end), mean=mean)
            start, held, risen = end, count, over


def _describe(sums: Values, outcome: Outcome, here: slice, *, mean: float) -> NumberCalibration:
    low, high = outcome.low, outcome.high
    half, count = (high - low) / 2, float(sums["rows_in"][here].sum())
    expected, observed, squares = (
        float(sums[name][here].sum()) / count for name in ("expected_in", "observed_in", "squares_in")
    )
    value = mean + half * observed
    reach = half * NORMAL_95 * math.sqrt(max(0.0, squares - observed * observed) / (count - 1.0))
    place = here.stop / len(sums["rows_in"])
    return NumberCalibration(
        rows=int(count),
        up_to=low + (high - low) * (place * place if outcome.kind == "count" else place),
        expected=mean + half * expected,
        observed=Estimate(value=value, low=max(low, value - reach), high=min(high, value + reach)),
    )
