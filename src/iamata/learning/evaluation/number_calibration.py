"""What was expected of rows with neighbouring forecasts of a number or a count, and what was observed."""

import math
from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec
import numpy as np

from iamata.learning.evaluation.curves import NORMAL_95, Estimate
from iamata.learning.holders import is_enough
from iamata.learning.programmes import Values, round_rows
from iamata.learning.schemas import Outcome
from iamata.learning.tables import Floats, Integers, Table

CELL_PARTS: Final = (
    ("rows_in", False),
    ("patients_in", True),
    ("above_in", True),
    ("expected_in", True),
    ("observed_in", True),
    ("squares_in", True),
)
"""What is summed by cell: rows, parts of patients, of those above the lowest outcome, and numbers.

All but the rows are in fixed point, numbers on the outcome's scale.
"""


Parts: TypeAlias = tuple[Floats, Floats]
"""Each row's part of its patient, and its part of one above the lowest outcome: 0 where it is not above."""


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
    table: Table, parts: Parts, cells: int, bits: int, *, expected: Floats, mean: float
) -> Values:
    """Add up rows by cell of forecast: how many there are, whose, and how far from the mean of all."""
    outcome, observed = table.schema.outcome, table.outcome
    half = (outcome.high - outcome.low) / 2
    cell = find_number_cells(outcome, expected, cells)
    away = (observed - mean) / half

    def count(cell: Integers, weights: Floats | None = None) -> Floats:
        return np.bincount(cell, weights, minlength=cells).astype(np.float64)

    return {
        "rows_in": count(cell),
        "patients_in": count(cell, parts[0]),
        "above_in": count(cell, parts[1]),
        "expected_in": count(cell, round_rows((expected - mean) / half, bits)),
        "observed_in": count(cell, round_rows(away, bits)),
        "squares_in": count(cell, round_rows(away * away, bits)),
    }


def calibrate_numbers(
    sums: Values, outcome: Outcome, *, mean: float, groups: int, patients_min: int
) -> Iterator[NumberCalibration]:
    """Cut the rows by rising forecast into groups of about equal size, none smaller than may be shown.

    Each has rows of at least `patients_min` patients, and of as many above the outcome's lowest value.
    """
    rows = np.cumsum(sums["rows_in"]).tolist()
    parts = np.column_stack([np.cumsum(sums[one]) for one in ("patients_in", "above_in")])
    start, held, risen = 0, 0.0, np.zeros(2)
    for end, (count, whose) in enumerate(zip(rows, parts, strict=True), start=1):
        is_full = count - held >= rows[-1] / groups
        least = float(np.minimum(whose - risen, parts[-1] - whose).min())  # nor are those who are left few
        if end == len(rows) or (is_full and is_enough(least, patients_min)):
            yield _describe(sums, outcome, slice(start, end), mean=mean)
            start, held, risen = end, count, whose


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
