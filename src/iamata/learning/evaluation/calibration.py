"""What was expected of rows with neighbouring scores, and what happened to them."""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from iamata.learning.evaluation.curves import Estimate, estimate_rate
from iamata.learning.tables import Floats, Integers

LOG_ODDS_MAX: Final = 12.0
"""Cells divide the log-odds evenly up to this, 1 in 160,000; what is beyond lies in the last cell."""
TINY: Final = 1e-12


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with neighbouring scores: what was expected of them, and what happened."""

    rows: int
    up_to: float
    """The log-odds at which the group ends and the next begins."""
    expected: float
    observed: Estimate


def find_cells(score: Floats, cells: int) -> Integers:
    """Return the cell of each probability: even steps of log-odds."""
    inside = np.clip(score, TINY, 1.0 - TINY)
    place = (np.log(inside / (1.0 - inside)) / LOG_ODDS_MAX + 1.0) * 0.5 * cells
    return np.clip(np.floor(place), 0, cells - 1).astype(np.int64)


def calibrate(
    cells: tuple[Floats, Floats], expected: Floats, *, groups: int, rows_min: int
) -> Iterator[Calibration]:
    """Cut the rows by rising score into groups of about equal size, none smaller than may be shown.

    `cells` counts the rows with yes and those with no; `expected` adds up their probabilities.
    """
    yes, rows = cells[0], cells[0] + cells[1]
    left = float(rows.sum())
    goal = max(float(rows_min), left / groups)
    start, held = 0, 0.0
    for place, count in enumerate(rows.tolist(), start=1):
        held += count
        left -= count
        is_full = held >= goal and (left >= rows_min or left == 0)
        if is_full or (place == len(rows) and held > 0):
            here = slice(start, place)
            yield Calibration(
                rows=int(held),
                up_to=(2.0 * place / len(rows) - 1.0) * LOG_ODDS_MAX,
                expected=float(expected[here].sum()) / held,
                observed=estimate_rate(float(yes[here].sum()), held),
            )
            start, held = place, 0.0
