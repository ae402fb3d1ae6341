"""What comes of a question: one noisy sum over the sites, with an interval that holds the noise.

Each patient is counted once, however many rows are theirs: in a group if one row meets its conditions, and
as so if one row meets all. That bounds what anybody can change, and so the noise. A count below ten is not
told; noise alone could make it of nobody.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from iamata.learning.programmes import Given, Noise, Part, Programme, Query, Site, Values
from iamata.learning.questions import Asked, Conditions, Group, Question, Rate, Ratio, canonicalise
from iamata.learning.schemas import Categorical, Schema
from iamata.learning.summing import foresee_deviation
from iamata.learning.tables import Table
from iamata.model.canonical import encode_canonical
from iamata.model.reasons import Reason, Refused, require

ANSWER_BYTES_MAX: Final = 1024 * 1024
FORMAT: Final = "iamata-answer/1"
COUNT_MIN: Final = 10
"""Fewer patients are not told."""
CONFIDENCE: Final = 0.95
QUANTILES: Final = {1: 1.95997, 2: 2.24141, 4: 2.49771}
"""Of the normal distribution at 1 − 0.05/2k: as wide as k counts need to hold all at once (Bonferroni)."""
SENSITIVITIES: Final = {"count": 1.0, "rate": 1.0, "ratio": math.sqrt(2.0)}
"""A patient is in one cell of each group at most, and may be in both groups of a ratio."""

Booleans: TypeAlias = NDArray[np.bool_]
Number = Annotated[float, msgspec.Meta(ge=0)]


class Estimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number, and where it lies without the noise, with the answer's confidence."""

    value: Number
    low: Number
    high: Number | None
    """None where nothing bounds it: noise could have made all of what it is divided by."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of a question: the same bytes at every site."""

    format: Literal["iamata-answer/1"] = FORMAT
    question: Asked
    result: Estimate | None
    """The count, rate or ratio; None where too few were counted to tell."""
    counts: tuple[Estimate, ...]
    """Of each group, the patients who are so and those who are not; of a count, the first alone."""
    deviation: float
    """The standard deviation of the noise in each count."""
    confidence: float = CONFIDENCE
    epsilon: float
    delta: float
    """What was spent of everybody's privacy: (ε, δ) for a patient at a site."""
    sites: int

    def encode(self) -> bytes:
        """Spell the answer in its one form."""
        return encode_canonical(msgspec.to_builtins(self))


def decode_answer(raw: bytes) -> Answer:
    """Read an answer, or refuse what is none in its one spelling."""
    require(len(raw) <= ANSWER_BYTES_MAX, Reason.TOO_LARGE, "the answer")
    try:
        answer = msgspec.json.decode(raw, type=Answer)
        canonical = answer.encode()
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise Refused(Reason.MODEL_CHANGED, "not an answer") from error
    require(canonical == raw, Reason.MODEL_CHANGED, "not spelled as an answer")
    return answer


def answer(asked: Asked, *, rho: float, epsilon: float, delta: float, sites: int) -> Programme[Answer]:
    """Answer a question within `rho`, in one sum over so many sites."""
    query = write_query(asked, rho)
    deviation = foresee_deviation(query, sites=sites)
    sums = yield query
    cells = [max(0, round(one)) for one in sums["cells"].tolist()]
    reach = math.ceil(QUANTILES[len(cells)] * deviation)
    counts = tuple(_bound(cell, reach) for cell in cells)
    is_told = min(cells) >= COUNT_MIN
    return Answer(
        question=asked,
        result=_conclude(counts) if is_told else None,
        counts=counts if is_told else (),
        deviation=math.ceil(deviation * 10) / 10,
        epsilon=epsilon,
        delta=delta,
        sites=sites,
    )


def turn_as_asked(answer: Answer, question: Question, schema: Schema) -> Answer:
    """Tell a ratio in the direction in which it was asked: its canonical form has one for both."""
    if not isinstance(question, Ratio):
        return answer
    first = canonicalise(Rate(of=question.of, among=question.among), schema).groups[0]
    if first == answer.question.groups[0]:
        return answer
    groups, counts = answer.question.groups[::-1], answer.counts[2:] + answer.counts[:2]
    return msgspec.structs.replace(
        answer,
        question=msgspec.structs.replace(answer.question, groups=groups),
        counts=counts,
        result=_conclude(counts) if counts else None,
    )


def write_query(asked: Asked, rho: float) -> Query:
    """Write the one query of a question: a cell for each count."""
    length = len(asked.groups) * (1 if asked.measure == "count" else 2)
    given = {"question": msgspec.to_builtins(asked)}
    noise = Noise(SENSITIVITIES[asked.measure], rho)
    return Query(asked.measure, (Part("cells", length),), compute_cells, given, noise)


def compute_cells(given: Given, site: Site) -> Values:
    """Count a site's patients: of each group, those who are so and, but for a count, those who are not."""
    asked = msgspec.convert(given["question"], Asked)
    cells = [cell for group in asked.groups for cell in _count(site.table, group)]
    return {"cells": np.array(cells[:1] if asked.measure == "count" else cells, dtype=np.float64)}


def _count(table: Table, group: Group) -> tuple[int, int]:
    is_so, is_among = (_find_patients(table, _find_rows(table, one)) for one in (group.of, group.among))
    return int(is_so.sum()), int((is_among & ~is_so).sum())


def _find_patients(table: Table, rows: Booleans) -> Booleans:
    """Tell of each patient whether one of their rows is among these."""
    names, places = np.unique(np.array(table.patients, dtype=str), return_inverse=True)
    found = np.zeros(len(names), dtype=np.bool_)
    found[places[rows]] = True
    return found


def _find_rows(table: Table, conditions: Conditions) -> Booleans:
    rows = np.ones(len(table), dtype=np.bool_)
    for one in conditions:
        is_outcome = one.column == table.schema.outcome.name
        values = table.outcome if is_outcome else table.columns[one.column]
        if one.is_one_of:
            codes = _list_codes(table, one.column, one.is_one_of)
            rows &= np.isin(values, codes)
        if one.at_least is not None:
            rows &= values >= one.at_least
        if one.below is not None:
            rows &= values < one.below
    return rows


def _list_codes(table: Table, column: str, words: Sequence[str]) -> list[float]:
    """List what stands in a table for some of a column's words; an outcome's words are its numbers."""
    if column == table.schema.outcome.name:
        return [float(word) for word in words]
    known = table.schema.get_column(column)
    if not isinstance(known, Categorical):
        raise Refused(Reason.QUESTION_INVALID, column)
    return [float(known.categories.index(word)) for word in words]


def _bound(count: int, reach: int) -> Estimate:
    return Estimate(value=count, low=max(0, count - reach), high=count + reach)


def _conclude(counts: Sequence[Estimate]) -> Estimate:
    """Work out what was asked for; where every count lies within its interval, so does this."""
    match counts:
        case [count]:
            return count
        case [so, others]:
            return _divide_by_sum(so, others)
        case _:
            return _divide(_divide_by_sum(counts[0], counts[1]), _divide_by_sum(counts[2], counts[3]))


def _divide_by_sum(so: Estimate, others: Estimate) -> Estimate:
    """Return so / (so + others), which grows with the one and falls with the other."""
    return Estimate(
        value=so.value / (so.value + others.value),
        low=so.low / (so.low + (others.high or 0.0)),
        high=(so.high or 0.0) / ((so.high or 0.0) + others.low),
    )


def _divide(one: Estimate, other: Estimate) -> Estimate:
    return Estimate(
        value=one.value / other.value,
        low=one.low / (other.high or 1.0),
        high=None if other.low == 0 else (one.high or 0.0) / other.low,
    )
