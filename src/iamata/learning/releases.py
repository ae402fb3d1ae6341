"""What a model's file may tell: no count of one to nine patients, and no mean over so few.

A file gives means with the numbers over which they were taken, and rates from which counts follow. So a
regression takes a category that one to nine patients have for one that nobody has, and their rows for rows
of the first category; likewise where a value is missing for so few. And a model is let go only if the sums
that it rests on have no other such part, and a regression if so few tell no two categories apart. A patient
counts once, however many rows are theirs: so sites count patients beside what the fit sums. Where noise was
added they may have any.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from iamata.learning.estimators.design import list_terms
from iamata.learning.holders import Holders, count_holders, count_outcomes, list_kinds, read_holders
from iamata.learning.indicators import is_few, list_indicators, require_apart
from iamata.learning.programmes import Given, Part, Programme, Query, Result, Site, Values
from iamata.learning.schemas import Categorical, Column, Schema
from iamata.model.reasons import Reason, require

SIDES: Final[Mapping[str, tuple[float | None, ...]]] = {"moments": (None,), "classes": (0.0, 1.0)}
"""The queries beside which patients are counted: all together, or of each outcome by themselves."""


def release(programme: Programme[Result], schema: Schema) -> Programme[Result]:
    """Run a fit without its rare categories, and refuse one whose result would tell of few patients."""
    try:
        query = next(programme)
        while True:
            sums = yield _count_too(query, schema) if query.name in SIDES else query
            if query.name == "moments":
                holders = read_holders(schema, sums["holders"])
                yield from require_apart(schema, holders, float(sums["patients"][0]))
                sums = _pass_over_few(sums, holders, schema)
            for column, what, count in list_counts(query.name, sums, schema):
                require(not is_few(count), Reason.TOO_FEW_PATIENTS, f"{column}: too few patients {what}")
            query = programme.send(sums)
    except StopIteration as end:
        result: Result = end.value
        return result


def list_counts(query: str, sums: Values, schema: Schema) -> Iterator[tuple[str, str, float]]:
    """List the counts that a model gives away by a query's sums: column, what is counted, patients."""
    match query:
        case "moments":
            yield from _list_outcomes(schema, sums["outcomes"].tolist())
            patients, holders = float(sums["patients"][0]), read_holders(schema, sums["holders"])
            for column in schema.get_features():
                for indicator in list_indicators(column, holders, patients):
                    yield column.name, _spell(column), indicator.least
        case "classes":
            yield from _list_outcomes(schema, sums["outcomes"].tolist())
            for counts in np.split(sums["holders"], len(SIDES["classes"])):
                yield from _list_known(schema, read_holders(schema, counts))
        case "start":
            yield from _list_outcomes(schema, [float(sums[one][0]) for one in ("without", "with")])


def _count_too(query: Query, schema: Schema) -> Query:
    """Let sites count patients beside what a query sums: with each outcome, and with each kind of row."""
    sides = SIDES[query.name]
    width = len(sides) * sum(len(list_kinds(column)) for column in schema.get_features())
    parts = (*query.parts, Part("outcomes", 2), Part("holders", width))
    return replace(query, parts=parts, compute=partial(_compute_too, query, sides))


def _compute_too(query: Query, sides: tuple[float | None, ...], given: Given, site: Site) -> Values:
    table = site.table
    tables = [table if side is None else table.select(table.outcome == side) for side in sides]
    holders = np.concatenate([count_holders(one) for one in tables])
    return {**query.compute(given, site), "outcomes": count_outcomes(table), "holders": holders}


def _pass_over_few(moments: Values, holders: Holders, schema: Schema) -> Values:
    """Take each category, and each lack of a value, that few patients have for one that none has."""
    is_told = [
        kind is None or not is_few(holders[column.name, kind])
        for column, kind in list_terms(schema.get_features())
    ]
    return {**moments, **{name: np.where(is_told, moments[name], 0.0) for name in ("sums", "squares")}}


def _list_outcomes(schema: Schema, counts: list[float]) -> Iterator[tuple[str, str, float]]:
    """List how many have either outcome; of a number or a count, those above the lowest value."""
    name, told = schema.outcome.name, counts if schema.outcome.kind == "binary" else counts[1:]
    what = "of one kind" if schema.outcome.kind == "binary" else "above the lowest value"
    yield from ((name, what, count) for count in told)


def _list_known(schema: Schema, holders: Holders) -> Iterator[tuple[str, str, float]]:
    """List how many of one outcome have a number, or each of the categories."""
    for column in schema.get_features():
        for kind in list_kinds(column)[:-1]:
            yield column.name, _spell(column), holders[column.name, kind]


def _spell(column: Column) -> str:
    """Say what there are too few of, and what to do about it."""
    if isinstance(column, Categorical):
        return "of a category; merge it with another, or leave the column out"
    return "with a value; leave the column out"
