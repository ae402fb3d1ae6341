"""What was expected of rows with neighbouring scores, and what happened to them."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from iamata.learning.evaluation.curves import Cut, Estimate, estimate_rate, is_apart
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


def list_cuts(calibration: Sequence[Calibration]) -> list[Cut]:
    """List where groups of rows begin, from the highest scores on."""
    cuts, yes, rows = [], 0.0, 0.0
    for one in reversed(calibration):
        yes, rows = yes + round(one.observed.value * one.rows), rows + one.rows
        cuts.append((yes, rows - yes))
    return cuts


def calibrate(
    cells: tuple[Floats, Floats],
    expected: Floats,
    *,
    groups: int,
    rows_min: int,
    shown: Sequence[Cut] = (),
) -> Iterator[Calibration]:
    """Cut the rows by rising score into groups of about equal size, none smaller than may be shown.

    `cells` counts the rows with yes and those with no; `expected` adds up their probabilities. A group has
    at least `rows_min` rows of each class, and so has what lies between its ends and the cuts that are
    `shown` elsewhere. There is none where there are fewer rows in all.
    """
    yes, rows = cells[0], cells[0] + cells[1]
    above = np.cumsum(cells[0][::-1])[::-1].tolist(), np.cumsum(cells[1][::-1])[::-1].tolist()
    everyone = (above[0][0], above[1][0])
    if min(everyone) < rows_min:
        return
    ends = [*zip(*(one[1:] for one in above), strict=True), (0.0, 0.0)]
    start, last = 0, everyone
    for place, end in enumerate(ends, start=1):
        held = sum(last) - sum(end)
        is_full = held >= sum(everyone) / groups and end != last
        if end == (0.0, 0.0) or (is_full and is_apart(end, [last, (0.0, 0.0), *shown], rows_min=rows_min)):
            here = slice(start, place)
            yield Calibration(
                rows=int(held),
                up_to=(2.0 * place / len(rows) - 1.0) * LOG_ODDS_MAX,
                expected=float(expected[here].sum()) / held,
                observed=estimate_rate(float(yes[here].sum()), held),
            )
            start, last = place, end
            if end == (0.0, 0.0):
                return
