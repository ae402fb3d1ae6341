"""What a model's file may tell: no count of one to nine rows, and no mean over so few.

A file gives means with the numbers over which they were taken, and rates from which counts follow. So a
regression takes a category that one to nine rows have for one that nobody has, and these rows for rows of
the first category; likewise where a value is missing in so few. And a model is let go only if the sums that
it rests on have no other such part. Where noise was added they may have any.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from iamata.learning.estimators.design import list_terms
from iamata.learning.programmes import Programme, Result, Values
from iamata.learning.schemas import Categorical, Column, Numeric, Schema
from iamata.model.reasons import Reason, require

RELEASED_ROWS_MIN: Final = 10
"""A count below this is shown to nobody, unless it is 0."""


def release(programme: Programme[Result], schema: Schema) -> Programme[Result]:
    """Run a fit without its rare categories, and refuse a result that would tell of fewer than ten rows."""
    seen: dict[str, Values] = {}
    try:
        query = next(programme)
        while True:
            sums = yield query
            if query.name == "moments":
                sums = _pass_over_few(sums, schema)
            seen.setdefault(query.name, sums)
            query = programme.send(sums)
    except StopIteration as end:
        result: Result = end.value
        for column, what, count in list_counts(seen, schema):
            is_enough = count == 0 or count >= RELEASED_ROWS_MIN
            require(is_enough, Reason.TOO_FEW_PATIENTS, f"{column}: too few rows {what}")
        return result


def _pass_over_few(moments: Values, schema: Schema) -> Values:
    """Take each category, and each lack of a value, that one to nine rows have for one that none has."""
    is_told = [
        (isinstance(column, Numeric) and category is None) or total == 0 or total >= RELEASED_ROWS_MIN
        for (column, category), total in zip(
            list_terms(schema.get_features()), np.rint(moments["sums"]).tolist(), strict=True
        )
    ]
    return {**moments, **{name: np.where(is_told, moments[name], 0.0) for name in ("sums", "squares")}}


def list_counts(seen: Mapping[str, Values], schema: Schema) -> Iterator[tuple[str, str, float]]:
    """List the counts that a model gives away, from the sums of its fit: column, what is counted, rows."""
    if (moments := seen.get("moments")) is not None:
        yield from _list_terms(moments, schema)
    if (classes := seen.get("classes")) is not None:
        yield from _list_classes(schema, classes["rows"].tolist())
        for column in schema.get_features():
            for side in (0, 1):
                yield from _list_column(column, classes[f"{column.name} {side}"].tolist())
    if (start := seen.get("start")) is not None:
        yes = float(start["yes"][0])
        yield from _list_classes(schema, [float(start["rows"][0]) - yes, yes])


def _list_terms(moments: Values, schema: Schema) -> Iterator[tuple[str, str, float]]:
    """List what the means of a design tell: those with a value, each category, the others, the missing."""
    left = dict.fromkeys((one.name for one in schema.get_features()), float(moments["rows"][0]))
    counts = zip(moments["present"].tolist(), np.rint(moments["sums"]).tolist(), strict=True)
    for (column, category), (present, total) in zip(list_terms(schema.get_features()), counts, strict=True):
        if isinstance(column, Numeric) and category is None:
            yield column.name, _spell(column), present
        else:
            yield column.name, _spell(column), total
            left[column.name] -= total
    for column in schema.get_features():
        yield column.name, _spell(column), left[column.name]


def _list_classes(schema: Schema, counts: list[float]) -> Iterator[tuple[str, str, float]]:
    yield from ((schema.outcome.name, "of one kind", count) for count in counts)


def _list_column(column: Column, sums: list[float]) -> Iterator[tuple[str, str, float]]:
    """List how many rows of one outcome have a value, or each of the categories."""
    counts = sums if isinstance(column, Categorical) else sums[:1]
    yield from ((column.name, _spell(column), count) for count in counts)


def _spell(column: Column) -> str:
    """Say what there are too few of, and what to do about it."""
    if isinstance(column, Categorical):
        return "of a category; merge it with another, or leave the column out"
    return "with a value; leave the column out"
