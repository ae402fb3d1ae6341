"""What was expected of rows with neighbouring scores, and what happened to them."""

from collections.abc import Iterator, Sequence

import msgspec

from iamata.learning.evaluation.curves import (
    INTERVAL_DIGITS,
    TOP,
    Cut,
    Estimate,
    estimate_rate,
    is_apart,
)
from iamata.learning.holders import is_enough
from iamata.learning.tables import Floats


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with neighbouring scores: what was expected of them, and what happened."""

    rows: int
    up_to: float
    """The log-odds at which the group ends and the next begins."""
    expected: float
    observed: Estimate


def calibrate(  # noqa: PLR0913  cells, and how they are joined
    cuts: Sequence[Cut],
    expected: Floats,
    edges: Floats,
    *,
    groups: int,
    patients_min: int,
    shown: Sequence[Cut] = (),
) -> Iterator[tuple[Calibration, Cut]]:
    """Cut the rows by rising score into groups of about equal size, none smaller than may be shown.

    `cuts` are those between cells, from the highest scores on; `expected` adds up probabilities in cells,
    which end at `edges` (log-odds). A group has rows of at least `patients_min` patients of each class, and
    so has what lies between its ends and the cuts that are `shown` elsewhere. Each comes with the cut at
    which it begins. There is none where there are fewer patients in all.
    """
    everyone = start = cuts[-1]
    if not is_enough(min(everyone.yes_patients, everyone.no_patients), patients_min):
        return
    first = 0
    for place, end in enumerate([*reversed(cuts[:-1]), TOP], start=1):
        held, is_last = sum(start[:2]) - sum(end[:2]), end[:2] == TOP[:2]
        is_full = held >= sum(everyone[:2]) / groups and end[:2] != start[:2]
        if is_last or (is_full and is_apart(end, [start, TOP, *shown], patients_min=patients_min)):
            group = Calibration(
                rows=int(held),
                up_to=round(float(edges[place - 1]), INTERVAL_DIGITS),
                expected=float(expected[first:place].sum()) / held,
                observed=estimate_rate(start.yes - end.yes, held),
            )
            yield group, start
            first, start = place, end
        if is_last:
            return
