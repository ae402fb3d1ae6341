"""The design matrix of a linear model: what columns become, in one order, the same at every site.

A number stays one; a missing one becomes the mean, with an indicator beside it where the schema says so.
A category becomes indicators, one for each but the first, and one for missing. All of them are then
standardised together, by the mean and the standard deviation over all sites (not each site's own: on four
hospitals with different cases that costs accuracy, see Heart Disease in bench/learning).
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values, choose_bits
from iamata.learning.schemas import Categorical, Column, Numeric, Schema
from iamata.learning.tables import ROWS_MAX, Floats, Table
from iamata.model.reasons import Reason, require

PATIENTS_MIN: Final = 10
"""Fewer patients than this teach nobody anything that would not be about them."""
SPREAD_MIN: Final = 2.0**-12
"""A standard deviation below this part of a column's public range counts as none: the scale ends there."""


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the design matrix, and how it is standardised."""

    column: str
    category: str | None = None
    """The category that it indicates; None where it is the number itself, "" where it indicates missing."""
    mean: float
    spread: float
    """The standard deviation over all rows, missing ones at the mean; 0 where all rows are alike."""


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """What one sum says about all rows together."""

    rows: int
    patients: int
    terms: tuple[Term, ...]


def standardise(schema: Schema) -> Programme[Moments]:
    """Work out mean and spread of each term over all sites, in one exchange.

    Refuses fewer than ten patients, and a number that is the same in all rows. An indicator that never
    varies (a category that nobody has) stays, with spread 0, and its coefficient will be 0.
    """
    names = list_terms(schema.get_features())
    require(bool(names), Reason.SCHEMA_INVALID, "no column can differ between rows")
    width, bits = len(names), choose_bits(ROWS_MAX)
    whole = (Part("rows", 1), Part("patients", 1), Part("present", width))
    sums = yield Query(
        "moments", (*whole, Part("sums", width, bits), Part("squares", width, bits)), compute_moments
    )
    rows, patients = int(sums["rows"][0]), int(sums["patients"][0])
    require(patients >= PATIENTS_MIN, Reason.TOO_FEW_PATIENTS)
    columns = zip(
        names, sums["present"].tolist(), sums["sums"].tolist(), sums["squares"].tolist(), strict=True
    )
    terms = tuple(
        _describe(name, rows=rows, present=present, total=total, square=square)
        for name, present, total, square in columns
    )
    return Moments(rows=rows, patients=patients, terms=terms)


def list_terms(columns: Sequence[Column]) -> list[tuple[Column, str | None]]:
    """Name the columns of the design matrix in order: schema column, and category or None or ""."""
    names: list[tuple[Column, str | None]] = []
    for column in columns:
        if isinstance(column, Numeric):
            names.append((column, None))
        else:
            names += [(column, category) for category in column.categories[1:]]
        if column.missing == "indicator":
            names.append((column, ""))
    return names


def compute_moments(_given: Given, site: Site) -> Values:
    """Count and add up each term at one site, numbers moved to [-1, 1] by their public bounds."""
    table = site.table
    columns = []
    for column, category in list_terms(table.schema.get_features()):
        middle, half = get_range(column, category)
        columns.append((read_term(table, column, category) - middle) / half)
    values = np.column_stack(columns)
    present = ~np.isnan(values)
    known = np.where(present, values, 0.0)
    return {
        "rows": np.array([len(table)]),
        "patients": np.array([table.count_patients()]),
        "present": present.sum(axis=0),
        "sums": known.sum(axis=0),
        "squares": (known * known).sum(axis=0),
    }


def build_matrix(site: Site, terms: Sequence[Term]) -> Floats:
    """Return a site's standardised design matrix, with a first column of ones; it is kept for next time."""
    key = "design " + msgspec.json.encode(terms).decode()
    kept = site.memory.get(key)
    if isinstance(kept, np.ndarray):
        return kept
    matrix = np.ones((len(site.table), len(terms) + 1))
    for place, term in enumerate(terms, start=1):
        column = site.table.schema.get_column(term.column)
        values = read_term(site.table, column, term.category)
        matrix[:, place] = standardise_values(term, values)
    site.memory[key] = matrix
    return matrix


def standardise_values(term: Term, values: Floats) -> Floats:
    """Move a term's values to mean 0 and spread 1; missing ones become the mean, so 0."""
    if term.spread == 0:
        return np.zeros_like(values)
    return np.where(np.isnan(values), 0.0, (values - term.mean) / term.spread)


def read_term(table: Table, column: Column, category: str | None) -> Floats:
    """Return a term's values before they are standardised, NaN where a number is missing."""
    values = table.columns[column.name]
    if category == "":
        return np.isnan(values).astype(np.float64)
    match column:
        case Numeric():
            return values
        case Categorical(categories=categories):
            indicator: Floats = np.equal(values, categories.index(str(category))).astype(np.float64)
            return indicator


def get_range(column: Column, category: str | None) -> tuple[float, float]:
    """Return the middle and half the width of what a term can be; an indicator is 0 or 1 as it stands."""
    if isinstance(column, Numeric) and category is None:
        return (column.low + column.high) / 2, (column.high - column.low) / 2
    return 0.0, 1.0


def _describe(
    name: tuple[Column, str | None], *, rows: int, present: float, total: float, square: float
) -> Term:
    """Turn sums into a mean and a spread; elementary arithmetic only, so the same bits everywhere."""
    column, category = name
    middle, half = get_range(column, category)
    is_number = isinstance(column, Numeric) and category is None
    mean = total / present if present else 0.0
    variance = max(0.0, (square - present * mean * mean) / rows)
    spread = math.sqrt(variance)
    if spread < SPREAD_MIN:
        require(not is_number, Reason.COLUMN_CONSTANT, column.name)
        spread = 0.0
    return Term(column=column.name, category=category, mean=middle + half * mean, spread=half * spread)
