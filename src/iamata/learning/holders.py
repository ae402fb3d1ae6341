"""How many patients something is about: each counts once, however many rows are theirs.

Patients of two sites are two patients, so these numbers add up over sites.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Final, TypeAlias

import numpy as np

from iamata.learning.schemas import Column, Numeric, Schema
from iamata.learning.tables import Floats, Integers, Table

PART_SLACK: Final = 2.0**-10
"""By how much rounded parts of patients may make less than the whole patients that they are."""

Kind: TypeAlias = str | None
"""A kind of row, to one column: one of its categories, None for any number, "" where it is missing."""
Holders: TypeAlias = Mapping[tuple[str, Kind], float]
"""How many patients have rows of a kind, by the column's name and the kind."""


def list_kinds(column: Column) -> tuple[Kind, ...]:
    """Name the kinds of row that a column tells apart: each row is of one."""
    return (None, "") if isinstance(column, Numeric) else (*column.categories, "")


def count_holders(table: Table) -> Floats:
    """Count the patients who have rows of each kind, feature by feature."""
    patients = number_patients(table)
    return np.concatenate(
        [
            count_distinct(patients, find_kinds(table, column), len(list_kinds(column)))
            for column in table.schema.get_features()
        ]
    )


def find_kinds(table: Table, column: Column) -> Integers:
    """Return the kind of each row to a column, by its place in the list."""
    values = table.columns[column.name]
    known = np.zeros_like(values) if isinstance(column, Numeric) else values
    return np.where(np.isnan(values), len(list_kinds(column)) - 1, known).astype(np.int64)


def count_outcomes(table: Table) -> Floats:
    """Count the patients who have rows with the outcome's lowest value, and with a higher one."""
    is_above = table.outcome > table.schema.outcome.lowest
    return count_distinct(number_patients(table), is_above.astype(np.int64), 2)


def read_holders(schema: Schema, counts: Floats) -> Holders:
    """Read what sites counted, summed."""
    kinds = chain.from_iterable(
        [(column.name, kind) for kind in list_kinds(column)] for column in schema.get_features()
    )
    return dict(zip(kinds, counts.tolist(), strict=True))


def number_patients(table: Table) -> Integers:
    """Give each patient a number, and return it for each row."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(one, len(known)) for one in table.patients], dtype=np.int64)


def count_distinct(patients: Integers, kinds: Integers, length: int) -> Floats:
    """Count the patients who have rows of each of `length` kinds."""
    pairs = np.unique(patients * length + kinds)
    return np.bincount(pairs % length, minlength=length).astype(np.float64)


def share_patients(table: Table, kinds: Integers | None = None) -> Floats:
    """Return each row's part of its patient: one by how many rows of its kind, or at all, the patient has.

    Some rows of a kind whose parts make more than nine are of ten patients at least.
    """
    patients = number_patients(table)
    pairs = patients if kinds is None else patients * (int(kinds.max(initial=0)) + 1) + kinds
    shares: Floats = 1.0 / np.bincount(pairs)[pairs]
    return shares


def is_enough(patients: float, patients_min: int) -> bool:
    """Tell whether parts of patients make so many."""
    return patients >= compute_least(patients_min)


def compute_least(patients_min: int) -> float:
    """Compute what parts of so many patients make at least, rounded as they are."""
    return patients_min - PART_SLACK
