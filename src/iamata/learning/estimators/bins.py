"""Bins: what trees see of a column, the same at every site and fixed before the first tree.

A numeric column's quantiles are read off a histogram over its public bounds, summed over all sites; a
categorical column's bins are its categories. The last bin of each is for what is missing. A model's file
has none of them, but the cuts at which it splits. So no cut is where a single value lies: its place is one
of those at which the bounds can be halved, and ten patients are in the halves on either side.
"""

from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from iamata.learning.estimators.design import PATIENTS_MIN
from iamata.learning.holders import is_enough, share_patients
from iamata.learning.programmes import (
    Given,
    Part,
    Programme,
    Query,
    Site,
    Values,
    choose_bits,
    round_rows,
)
from iamata.learning.schemas import Numeric, Schema
from iamata.learning.tables import ROWS_MAX, Floats, Table

CELLS: Final = 256
"""Into how many equal cells the public bounds of a numeric column are halved to find its quantiles."""
BITS: Final = choose_bits(ROWS_MAX)

Codes: TypeAlias = NDArray[np.int64]


class NumericBins(msgspec.Struct, frozen=True, kw_only=True, tag="numeric"):
    """Bin 0 holds values up to the first cut, bin 1 those above it up to the second, and so on."""

    column: str
    cuts: tuple[float, ...]
    high: float
    """The column's upper bound, up to which the last bin reaches."""

    @property
    def count(self) -> int:
        """The number of bins, the last one for missing values."""
        return len(self.cuts) + 2

    def encode(self, values: Floats) -> Codes:
        """Return the bin of each value."""
        found = np.searchsorted(np.array(self.cuts), values, side="left")
        return np.where(np.isnan(values), self.count - 1, found).astype(np.int64)


class CategoricalBins(msgspec.Struct, frozen=True, kw_only=True, tag="categorical"):
    """A bin for each category, in the schema's order."""

    column: str
    categories: tuple[str, ...]

    @property
    def count(self) -> int:
        """The number of bins, the last one for missing values."""
        return len(self.categories) + 1

    def encode(self, values: Floats) -> Codes:
        """Return the bin of each value."""
        return np.where(np.isnan(values), self.count - 1, values).astype(np.int64)


Bins: TypeAlias = NumericBins | CategoricalBins


def choose_bins(schema: Schema, *, bins_max: int) -> Programme[tuple[Bins, ...]]:
    """Choose at most `bins_max` bins of about equally many patients for each number, in one exchange."""
    features = schema.get_features()
    numbers = [column for column in features if isinstance(column, Numeric)]
    quantiles: dict[str, tuple[float, ...]] = {}
    if numbers:
        parts = (Part("cells", CELLS * len(numbers), BITS),)
        sums = yield Query("cells", parts, compute_cells)
        for column, counts in zip(numbers, sums["cells"].reshape(-1, CELLS), strict=True):
            quantiles[column.name] = _choose_cuts(compute_edges(column), counts, bins_max)
    return tuple(
        NumericBins(column=column.name, cuts=quantiles[column.name], high=column.high)
        if isinstance(column, Numeric)
        else CategoricalBins(column=column.name, categories=column.categories)
        for column in features
    )


def compute_cells(_given: Given, site: Site) -> Values:
    """Count the patients of a site in each cell of each numeric column, each of one's rows as a part."""
    table = site.table
    shares = round_rows(share_patients(table), BITS)
    counts = []
    for column in table.schema.get_features():
        if isinstance(column, Numeric):
            values = table.columns[column.name]
            known = ~np.isnan(values)
            cells = np.searchsorted(compute_edges(column)[:-1], values[known], side="left")
            counts.append(np.bincount(cells, weights=shares[known], minlength=CELLS))
    return {"cells": np.concatenate(counts)}


def compute_edges(column: Numeric) -> Floats:
    """Return the upper edge of each cell; elementary arithmetic, so the same bits everywhere."""
    return column.low + (column.high - column.low) * (np.arange(1, CELLS + 1) / CELLS)


def encode_table(table: Table, bins: tuple[Bins, ...]) -> list[Codes]:
    """Return the bin of each row, column by column."""
    return [one.encode(table.columns[one.column]) for one in bins]


def _choose_cuts(edges: Floats, counts: Floats, bins_max: int) -> tuple[float, ...]:
    """Cut patients into parts that are about equal."""
    before = np.concatenate([[0.0], np.cumsum(counts)])
    places = np.array(_list_places(before, 0, len(counts)), dtype=np.int64)
    if len(places) >= bins_max:
        targets = before[-1] * (np.arange(1, bins_max) / bins_max)
        chosen = np.unique(np.searchsorted(before[places], targets, side="left"))
        places = places[chosen[chosen < len(places)]]
    return tuple(edges[places - 1].tolist())


def _list_places(before: Floats, start: int, stop: int) -> list[int]:
    """List the cells before which one may cut: in the middle, if ten patients are in each half; and on."""
    middle = (start + stop) // 2
    if middle == start:
        return []
    is_left = is_enough(before[middle] - before[start], PATIENTS_MIN)
    is_right = is_enough(before[stop] - before[middle], PATIENTS_MIN)
    return [
        *(_list_places(before, start, middle) if is_left else []),
        *([middle] if is_left and is_right else []),
        *(_list_places(before, middle, stop) if is_right else []),
    ]
