"""What a regression tells of columns: who is in a category, who in no such one, and who lacks a value.

Sums over two such groups, subtracted, are about those who are in one of them only. Which columns the groups
are of does not matter: «obstetrics» and «pregnancy» may be the same but for one patient.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, combinations
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from iamata.learning.estimators.design import list_terms
from iamata.learning.holders import Holders, Kind, find_kinds, list_kinds, number_patients
from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values
from iamata.learning.schemas import Column, Numeric, Schema
from iamata.learning.tables import Table
from iamata.model.reasons import Reason, require

TOLD_PATIENTS_MIN: Final = 10
"""No model tells of fewer patients, but of none."""


class Indicator(NamedTuple):
    """Rows that a regression tells from others: of these kinds, to one column."""

    column: str
    kinds: tuple[Kind, ...]
    least: float
    """At least so many patients have such rows."""
    most: float


Pair: TypeAlias = tuple[Indicator, Indicator]


def is_few(count: float) -> bool:
    """Tell whether there are patients, but too few to be told of."""
    return 0 < count < TOLD_PATIENTS_MIN


def list_indicators(column: Column, holders: Holders, patients: float) -> Iterator[Indicator]:
    """List a column's: the terms that some have and not few, and what is left.

    Of a number, those who have one are left. Of categories it is the first, those that few have, and what
    is missing where nothing indicates it. Who has rows of two kinds counts once: as many at most do as
    kinds have more holders than there are patients.
    """
    counts = {kind: holders[column.name, kind] for kind in list_kinds(column)}
    terms = [kind for _, kind in list_terms([column]) if kind is not None and not is_few(counts[kind])]
    yield from (Indicator(column.name, (kind,), counts[kind], counts[kind]) for kind in terms)
    if isinstance(column, Numeric):
        yield Indicator(column.name, (None,), counts[None], counts[None])
        return
    left = {kind: count for kind, count in counts.items() if kind not in terms}
    total = sum(left.values())
    least = max(*left.values(), total - (sum(counts.values()) - patients))
    yield Indicator(column.name, tuple(left), least, min(total, patients))


def require_apart(schema: Schema, holders: Holders, patients: float) -> Programme[None]:
    """Refuse categories of two columns that few patients tell apart.

    Only pairs that may be so by their numbers are asked about, mostly none, in queries that are no longer
    than a regression's others. Who lacks a value is held against categories, but not against who lacks
    another: what is measured together is missing together.
    """
    pairs = list(_list_pairs(schema, holders, patients))
    size = 1 + len(list_terms(schema.get_features()))
    for asked in _cut(pairs, size * (size + 1) // 2):
        given = {"pairs": [[[one.column, one.kinds] for one in pair] for pair in asked]}
        sums = yield Query(
            "apart", (Part("patients", len(asked)),), partial(_count_differing, asked), given
        )
        for (one, other), count in zip(asked, sums["patients"].tolist(), strict=True):
            which = f"{_spell(one)} and {_spell(other)}"
            merge = "merge one with another category, or leave a column out"
            require(not is_few(count), Reason.TOO_FEW_PATIENTS, f"{which} hardly differ; {merge}")


def _list_pairs(schema: Schema, holders: Holders, patients: float) -> Iterator[Pair]:
    """List the indicators of two columns that few patients may tell apart."""
    indicators = [
        one
        for column in schema.get_features()
        for one in list_indicators(column, holders, patients)
        if one.most > 0 and one.kinds != (None,)
    ]
    for one, other in combinations(indicators, 2):
        is_near = max(one.least - other.most, other.least - one.most) < TOLD_PATIENTS_MIN
        if is_near and one.column != other.column and not one.kinds == other.kinds == ("",):
            yield one, other


def _count_differing(pairs: Sequence[Pair], _given: Given, site: Site) -> Values:
    """Count a site's patients by whose rows the two indicators of each pair differ."""
    patients = number_patients(site.table)
    rows = {one: _select(site.table, one) for one in dict.fromkeys(chain.from_iterable(pairs))}
    counts = [np.count_nonzero(np.bincount(patients[rows[one] != rows[other]])) for one, other in pairs]
    return {"patients": np.array(counts, dtype=np.float64)}


def _select(table: Table, indicator: Indicator) -> NDArray[np.bool_]:
    column = table.schema.get_column(indicator.column)
    kinds = list_kinds(column)
    return np.isin(find_kinds(table, column), [kinds.index(kind) for kind in indicator.kinds])


def _cut(pairs: Sequence[Pair], length: int) -> Iterator[Sequence[Pair]]:
    yield from (pairs[start : start + length] for start in range(0, len(pairs), length))


def _spell(indicator: Indicator) -> str:
    return f"{indicator.column} = {indicator.kinds[0] or 'missing'}"
