"""Choose splits from summed histograms: public arithmetic that every site repeats with the same result.

The gain is that of second-order boosting (Friedman 2001; Chen and Guestrin 2016, equation 7). Ties go to
the first: by the schema's order of columns, then missing right before missing left, then by bin.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np

from iamata.learning.estimators.bins import Bins, NumericBins
from iamata.learning.estimators.tree import Split
from iamata.learning.holders import compute_least
from iamata.learning.tables import Floats

DEPTH_MAX: Final = 32
"""No tree grows deeper: twice as many nodes at each level are too many values long before."""
L2_MIN: Final = 0.001
"""Without any, a leaf of rows that are all told for certain would divide by nothing."""
L2_MAX: Final = 1e6
LEAF_PATIENTS_MIN: Final = 10
LEAF_PATIENTS_MAX: Final = 2**20
GAIN_MIN: Final = 1e-6
"""A gain below this is rounding."""
NEVER: Final = -1.0


class Growth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What limits a tree, fixed with the study."""

    depth_max: Annotated[int, msgspec.Meta(ge=1, le=DEPTH_MAX)] = 4
    l2: Annotated[float, msgspec.Meta(ge=L2_MIN, le=L2_MAX)] = 1.0
    patients_min: Annotated[int, msgspec.Meta(ge=LEAF_PATIENTS_MIN, le=LEAF_PATIENTS_MAX)] = 20
    """The patients that a leaf needs; of one with several rows each counts as a part.

    It is also what keeps a leaf from being about anybody.
    """


@dataclass(frozen=True)
class Histogram:
    """Of one node and one column: sums of gradient, curvature and patients in each bin, missing last."""

    gradient: Floats
    curvature: Floats
    patients: Floats
    """A row of a patient with several counts as a part of one."""


@dataclass(frozen=True)
class Choice:
    """A split, without the places of its children, and what they hold."""

    gain: float
    column: Bins
    left_bins: tuple[int, ...]
    left: tuple[float, float]
    """Gradient and curvature of the rows that go left."""

    def name(self, *, left: int, right: int) -> Split:
        """Spell the split in the column's own values."""
        missing = self.column.count - 1
        is_missing_left = missing in self.left_bins
        bins = [one for one in self.left_bins if one != missing]
        if isinstance(self.column, NumericBins):
            cut = (*self.column.cuts, self.column.high)[max(bins)]
            return Split(
                column=self.column.column, cut=cut, is_missing_left=is_missing_left, left=left, right=right
            )
        words = tuple(self.column.categories[one] for one in sorted(bins))
        return Split(
            column=self.column.column,
            categories=words,
            is_missing_left=is_missing_left,
            left=left,
            right=right,
        )


def choose_split(bins: tuple[Bins, ...], histograms: list[Histogram], growth: Growth) -> Choice | None:
    """Choose the split of a node with the largest gain, or None where none is worth it."""
    best: Choice | None = None
    for column, histogram in zip(bins, histograms, strict=True):
        for order, longest in _list_orders(column, histogram, growth):
            found = _scan(column, histogram, order, growth, longest=longest)
            if found is not None and (best is None or found.gain > best.gain):
                best = found
    return best


def compute_value(gradient: float, curvature: float, growth: Growth) -> float:
    """Return the best constant to add to the log-odds of some rows."""
    return -gradient / (curvature + growth.l2)


def _list_orders(column: Bins, histogram: Histogram, growth: Growth) -> list[tuple[list[int], int]]:
    """List the orders of bins of which a first part may go left, and of how many bins that is at most.

    Categories that few have go right, and so do those few who lack a number: by their side a tree would
    tell what happened to them.
    """
    known = histogram.patients >= compute_least(LEAF_PATIENTS_MIN)
    numbers = list(range(column.count - 1))
    missing = column.count - 1
    if isinstance(column, NumericBins):
        orders = [[*numbers, missing], [missing, *numbers]] if known[missing] else [[*numbers, missing]]
        return [(order, len(numbers)) for order in orders]
    # Fisher 1958: for two classes the best subset is a first part of the categories by their mean.
    many = np.flatnonzero(known)
    mean = histogram.gradient[many] / (histogram.curvature[many] + growth.l2)
    order = [*many[np.argsort(mean, kind="stable")].tolist(), *np.flatnonzero(~known).tolist()]
    return [(order, min(len(many), len(numbers)))]


def _scan(
    column: Bins, histogram: Histogram, order: list[int], growth: Growth, *, longest: int
) -> Choice | None:
    """Find the best place to cut an order of bins in two."""
    gradient, curvature, patients = (
        np.cumsum(one[order]) for one in (histogram.gradient, histogram.curvature, histogram.patients)
    )
    first = 1 if isinstance(column, NumericBins) and order[0] == column.count - 1 else 0
    left, weight, count = (one[first:longest] for one in (gradient, curvature, patients))
    total, all_weight = gradient[-1], curvature[-1]
    right = total - left
    gains = left * left / (weight + growth.l2) + right * right / (all_weight - weight + growth.l2)
    gains = gains - total * total / (all_weight + growth.l2)
    least = compute_least(growth.patients_min)
    is_fit = (count >= least) & (patients[-1] - count >= least)
    gains = np.where(is_fit, gains, NEVER)
    place = int(np.argmax(gains)) if len(gains) else 0
    if not len(gains) or not gains[place] > GAIN_MIN:
        return None
    chosen = tuple(sorted(order[: first + place + 1]))
    return Choice(float(gains[place]), column, chosen, (float(left[place]), float(weight[place])))
