"""How alike the columns of two tables are: by how many patients two of them differ, whatever their names.

Sums of two columns that agree for all but a few patients, subtracted, are about those few.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from iamata.learning.tables import Floats, Table

ROW: Final = ""
"""Stands for a row as such, whatever is in it: no category is spelt like this."""

Value: TypeAlias = float | str | None
Values: TypeAlias = tuple[Value, ...]
Numbers: TypeAlias = NDArray[np.int32]


def compute_least_difference(one: Table, other: Table, patients: Sequence[str]) -> int:
    """Count the patients by whom the two most alike columns of two tables differ, one column of each.

    Values are compared as they enter sums: bounded, words as words, a missing one like any other, all rows
    of a patient in their order. The outcome is a column, and so is how many rows each patient has. A column
    that is the same in both tables tells nothing that one of them does not tell by itself, so it is held
    against nothing. Return 0 where no two columns are left to compare.
    """
    spelt: dict[Values, int] = {}
    columns, others = (_spell(table, patients, spelt) for table in (one, other))
    known = _list_bytes(others)
    shared = {one: None for one in _list_bytes(columns) if one in known}
    columns, others = (_leave_out(found, shared) for found in (columns, others))
    differing = [int((others != column).sum(axis=1).min()) for column in columns if len(others)]
    return min(differing, default=0)


def find_near_twins(table: Table, *, least: int) -> tuple[str, str] | None:
    """Find two columns of one table that fewer than `least` patients tell apart, and nearly all do not.

    One sum of each, subtracted, is about those few. Two columns are alike where as many patients as that
    have the same in both, other than what is commonest in either: flags that are hardly ever set are not.
    """
    patients = list(dict.fromkeys(table.patients))
    columns = _spell(table, patients, {})[1:]
    names = [*(column.name for column in table.schema.columns), table.schema.outcome.name]
    is_rare = [column != Counter(column.tolist()).most_common(1)[0][0] for column in columns]
    for one, other in combinations(range(len(columns)), 2):
        is_same = columns[one] == columns[other]
        alike = int((is_same & is_rare[one] & is_rare[other]).sum())
        if alike >= least and 0 < int((~is_same).sum()) < least:
            return names[one], names[other]
    return None


def _spell(table: Table, patients: Sequence[str], spelt: dict[Values, int]) -> Numbers:
    """Give what each patient has in each column a number: the same values, the same number."""
    places: dict[str, list[int]] = {patient: [] for patient in patients}
    for at, patient in enumerate(table.patients):
        places[patient].append(at)
    return np.array(
        [
            [spelt.setdefault(tuple([values[at] for at in rows]), len(spelt)) for rows in places.values()]
            for values in _list_columns(table)
        ],
        dtype=np.int32,
    )


def _list_columns(table: Table) -> Iterator[Sequence[Value]]:
    yield [ROW] * len(table)
    for column in table.schema.columns:
        yield _list_values(table.columns[column.name], table.schema.list_categories(column.name))
    yield _list_values(table.outcome, ())


def _list_values(numbers: Floats, words: Sequence[str]) -> list[Value]:
    missing = np.isnan(numbers).tolist()
    values: list[float] = numbers.tolist()
    return [
        None if is_missing else words[int(value)] if words else value
        for value, is_missing in zip(values, missing, strict=True)
    ]


def _list_bytes(columns: Numbers) -> dict[bytes, None]:
    return dict.fromkeys(column.tobytes() for column in columns)


def _leave_out(columns: Numbers, shared: dict[bytes, None]) -> Numbers:
    return columns[[column.tobytes() not in shared for column in columns]]
