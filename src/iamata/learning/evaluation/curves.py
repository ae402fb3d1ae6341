"""What two histograms of scores say: how well a score ranks, and between which bounds it is known.

Both classes are counted in cells of scores. Within a cell the order is lost, so each figure is the one for
ties, and `resolution` says how far the best or the worst order within cells would move it; by so much its
interval is wider. Where all rows of a cell are known to have one score, there is no other order.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from iamata.learning.holders import is_enough
from iamata.learning.tables import Floats

NORMAL_95: Final = 1.959963984540054
"""The quantile of the normal distribution that leaves 2.5 % above."""
INTERVAL_DIGITS: Final = 9
"""To how many digits an exponential is kept: libraries disagree about its last ones, and sites must not."""

Sides: TypeAlias = tuple[Floats, Floats]
"""Numbers in cells of rising score: of rows with yes, and of those with no."""
Ties: TypeAlias = NDArray[np.bool_]
"""In which cells all rows have one score."""


class Cut(NamedTuple):
    """A place in the order of scores: how many rows of either class lie above it, and of how many patients.

    Of a patient with several rows of a class each counts as a part. So where parts make more than nine,
    there are ten patients at least.
    """

    yes: float
    no: float
    yes_patients: float
    no_patients: float


TOP: Final = Cut(0.0, 0.0, 0.0, 0.0)
"""Above it lies no row."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure, its interval of 95 % confidence, and how far the cells may have moved it (within that)."""

    value: float
    low: float
    high: float
    resolution: float = 0.0


class RocPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the receiver operating characteristic."""

    false_positive_rate: float
    true_positive_rate: float


def compute_auroc(yes: Floats, no: Floats, is_tied: Ties | None = None) -> Estimate:
    """Return the area under the ROC curve, ties counted half, with the interval of DeLong et al. (1988).

    `yes` and `no` count rows of either class in cells of rising score. Needs a row of each.
    """
    positives, negatives = math.fsum(yes.tolist()), math.fsum(no.tolist())
    beaten = (np.cumsum(no) - 0.5 * no) / negatives
    beating = (positives - np.cumsum(yes) + 0.5 * yes) / positives
    value = _average(beaten, yes)
    spread = _vary(beaten, yes, value) + _vary(beating, no, value)
    reach = NORMAL_95 * math.sqrt(spread)
    mixed = yes * no if is_tied is None else np.where(is_tied, 0.0, yes * no)
    resolution = 0.5 * math.fsum(mixed.tolist()) / positives / negatives
    return _bound(value, (value - reach, value + reach), resolution)


def compute_auprc(yes: Floats, no: Floats, is_tied: Ties | None = None) -> Estimate:
    """Return average precision (the sum over cells of precision times the rise in recall).

    The interval is that of a proportion on the logit scale (Boyd et al. 2013), for the rows with yes.
    """
    positives = math.fsum(yes.tolist())
    above, wrong = np.cumsum(yes[::-1]), np.cumsum(no[::-1])
    inside, noise = yes[::-1], no[::-1]
    is_mixed = np.full(len(yes), fill_value=True) if is_tied is None else ~is_tied[::-1]
    first = np.where(is_mixed & (inside > 0), above - inside + 1.0, above)
    tied = _average(_divide(above, above + wrong), inside)
    best = _average(_divide(above, above + np.where(is_mixed, wrong - noise, wrong)), inside)
    worst = _average(_divide(first, first + wrong), inside)
    return _bound(tied, _bound_on_logits(tied, positives), max(best - tied, tied - worst))


def list_cuts(rows: Sides, patients: Sides) -> list[Cut]:
    """List the places between cells, from the highest scores on: each below one more cell."""
    columns = (np.cumsum(one[::-1]).tolist() for one in (*rows, *patients))
    return [Cut(*one) for one in zip(*columns, strict=True)]


def list_roc_points(
    cuts: Sequence[Cut], *, patients_min: int, shown: Iterable[Cut] = ()
) -> Iterator[RocPoint]:
    """Yield the ROC curve from (0, 0) to (1, 1), in steps of at least `patients_min` of each class.

    It goes through the cuts that are `shown` elsewhere, so that nobody finds a smaller step between them.
    """
    everyone = cuts[-1]
    for cut in _thin(cuts, shown, patients_min):
        yield RocPoint(false_positive_rate=cut.no / everyone.no, true_positive_rate=cut.yes / everyone.yes)


def is_apart(cut: Cut, others: Iterable[Cut], *, patients_min: int) -> bool:
    """Tell whether between a cut and each other lie no rows, or those of so many patients of each class."""
    return all(cut[:2] == one[:2] or is_enough(_count_between(cut, one), patients_min) for one in others)


def _thin(cuts: Sequence[Cut], shown: Iterable[Cut], patients_min: int) -> Iterator[Cut]:
    """Yield the cuts that are shown, and of the others, which rise, those that are apart from all."""
    fixed = sorted(
        {one[:2]: one for one in (*shown, cuts[-1]) if one[:2] != TOP[:2]}.values(), reverse=True
    )
    last = TOP
    yield last
    for cut in cuts:
        while sum(fixed[-1][:2]) <= sum(cut[:2]) and len(fixed) > 1:
            last = fixed.pop()
            yield last
        if is_enough(min(_count_between(cut, last), _count_between(cut, fixed[-1])), patients_min):
            last = cut
            yield last
    yield from reversed(fixed)


def _count_between(one: Cut, other: Cut) -> float:
    """Count the patients between two cuts, of the class that has fewer there."""
    return min(abs(one.yes_patients - other.yes_patients), abs(one.no_patients - other.no_patients))


def list_precision_points(roc: Iterable[RocPoint], *, rate: float) -> list[tuple[float, float]]:
    """List recall and precision along a ROC curve, in its order; `rate` is how many of all rows say yes.

    So it shows no step of fewer patients than that curve. Where nobody is named there is no precision.
    """
    points = []
    for one in roc:
        right, wrong = rate * one.true_positive_rate, (1.0 - rate) * one.false_positive_rate
        if right + wrong > 0:
            points.append((one.true_positive_rate, right / (right + wrong)))
    return points


def estimate_rate(count: float, rows: float) -> Estimate:
    """Return a proportion with Wilson's interval (1927)."""
    squared = NORMAL_95 * NORMAL_95
    middle = (count + squared / 2) / (rows + squared)
    reach = NORMAL_95 / (rows + squared) * math.sqrt(count * (rows - count) / rows + squared / 4)
    return Estimate(value=count / rows, low=max(0.0, middle - reach), high=min(1.0, middle + reach))


def _average(values: Floats, weights: Floats) -> float:
    return math.fsum((values * weights).tolist()) / math.fsum(weights.tolist())


def _vary(ranks: Floats, counts: Floats, mean: float) -> float:
    """Return the variance of the mean rank of some rows."""
    rows = math.fsum(counts.tolist())
    squares = math.fsum((counts * (ranks - mean) * (ranks - mean)).tolist())
    return squares / max(1.0, rows - 1.0) / rows


def _divide(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _bound(value: float, bounds: tuple[float, float], resolution: float) -> Estimate:
    """Return an area with its interval, wider by its resolution."""
    low, high = max(0.0, bounds[0] - resolution), min(1.0, bounds[1] + resolution)
    return Estimate(value=value, low=low, high=high, resolution=resolution)


def _bound_on_logits(rate: float, rows: float) -> tuple[float, float]:
    if not 0 < rate < 1:
        return rate, rate
    middle = math.log(rate / (1.0 - rate))
    reach = NORMAL_95 / math.sqrt(rows * rate * (1.0 - rate))
    bounds = (1.0 / (1.0 + math.exp(sign * reach - middle)) for sign in (1, -1))
    low, high = (round(one, INTERVAL_DIGITS) for one in bounds)
    return low, high
