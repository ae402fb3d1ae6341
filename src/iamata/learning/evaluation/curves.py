"""What two histograms of scores say: how well a score ranks, and between which bounds it is known.

Both classes are counted in cells of scores. Within a cell the order is lost, so each figure is the one for
ties, and `resolution` says how far the best or the worst order within cells would move it.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import msgspec
import numpy as np

from iamata.learning.tables import Floats

NORMAL_95: Final = 1.959963984540054
"""The quantile of the normal distribution that leaves 2.5 % above."""
INTERVAL_DIGITS: Final = 9
"""To how many digits an exponential is kept: libraries disagree about its last ones, and sites must not."""


Cut: TypeAlias = tuple[float, float]
"""A place in the order of scores: how many rows with yes lie above it, and how many with no."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure, its interval of 95 % confidence, and how far the cells may have moved it."""

    value: float
    low: float
    high: float
    resolution: float = 0.0


class RocPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the receiver operating characteristic."""

    false_positive_rate: float
    true_positive_rate: float


def compute_auroc(yes: Floats, no: Floats) -> Estimate:
    """Return the area under the ROC curve, ties counted half, with the interval of DeLong et al. (1988).

    `yes` and `no` count rows of either class in cells of rising score. Needs a row of each.
    """
    positives, negatives = math.fsum(yes.tolist()), math.fsum(no.tolist())
    beaten = (np.cumsum(no) - 0.5 * no) / negatives
    beating = (positives - np.cumsum(yes) + 0.5 * yes) / positives
    value = _average(beaten, yes)
    spread = _vary(beaten, yes, value) + _vary(beating, no, value)
    reach = NORMAL_95 * math.sqrt(spread)
    tied = 0.5 * math.fsum((yes * no).tolist()) / positives / negatives
    return Estimate(value=value, low=max(0.0, value - reach), high=min(1.0, value + reach), resolution=tied)


def compute_auprc(yes: Floats, no: Floats) -> Estimate:
    """Return average precision (the sum over cells of precision times the rise in recall).

    The interval is that of a proportion on the logit scale (Boyd et al. 2013), for the rows with yes.
    """
    positives = math.fsum(yes.tolist())
    above, wrong = np.cumsum(yes[::-1]), np.cumsum(no[::-1])
    inside, noise = yes[::-1], no[::-1]
    tied = _average(_divide(above, above + wrong), inside)
    best = _average(_divide(above, above + wrong - noise), inside)
    worst = _average(_divide(above - inside, above - inside + wrong), inside)
    low, high = _bound_on_logits(tied, positives)
    return Estimate(value=tied, low=low, high=high, resolution=max(best - tied, tied - worst))


def list_roc_points(
    yes: Floats, no: Floats, *, rows_min: int, shown: Iterable[Cut] = ()
) -> Iterator[RocPoint]:
    """Yield the ROC curve from (0, 0) to (1, 1), in steps of at least `rows_min` rows of each class.

    It goes through the cuts that are `shown` elsewhere, so that nobody finds a smaller step between them.
    """
    positives, negatives = math.fsum(yes.tolist()), math.fsum(no.tolist())
    above, wrong = np.cumsum(yes[::-1]).tolist(), np.cumsum(no[::-1]).tolist()
    for true, false in _thin(zip(above, wrong, strict=True), shown, (positives, negatives), rows_min):
        yield RocPoint(false_positive_rate=false / negatives, true_positive_rate=true / positives)


def is_apart(cut: Cut, others: Iterable[Cut], *, rows_min: int) -> bool:
    """Tell whether between a cut and each other lie no rows, or so many of each class."""
    return all(cut == one or _count_between(cut, one) >= rows_min for one in others)


def _thin(cuts: Iterable[Cut], shown: Iterable[Cut], everyone: Cut, rows_min: int) -> Iterator[Cut]:
    """Yield the cuts that are shown, and of the others, which rise, those that are apart from all."""
    nobody = (0.0, 0.0)
    fixed = sorted(dict.fromkeys(one for one in (*shown, everyone) if one != nobody), reverse=True)
    last = nobody
    yield last
    for cut in cuts:
        while sum(fixed[-1]) <= sum(cut) and len(fixed) > 1:
            last = fixed.pop()
            yield last
        if min(_count_between(cut, last), _count_between(cut, fixed[-1])) >= rows_min:
            last = cut
            yield last
    yield from reversed(fixed)


def _count_between(one: Cut, other: Cut) -> float:
    """Count the rows between two cuts, of the class that has fewer there."""
    return min(abs(one[0] - other[0]), abs(one[1] - other[1]))


def list_precision_points(roc: Iterable[RocPoint], *, rate: float) -> list[tuple[float, float]]:
    """List recall and precision along a ROC curve, in its order; `rate` is how many of all rows say yes.

    So it shows no step of fewer rows than that curve. Where nobody is named there is no precision.
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


def _bound_on_logits(rate: float, rows: float) -> tuple[float, float]:
    if not 0 < rate < 1:
        return rate, rate
    middle = math.log(rate / (1.0 - rate))
    reach = NORMAL_95 / math.sqrt(rows * rate * (1.0 - rate))
    bounds = (1.0 / (1.0 + math.exp(sign * reach - middle)) for sign in (1, -1))
    low, high = (round(one, INTERVAL_DIGITS) for one in bounds)
    return low, high
