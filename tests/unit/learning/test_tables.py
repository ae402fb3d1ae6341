"""Tables hold what a schema says, and refuse anything else by the column's name."""

from typing import Any, Literal

import numpy as np
import pytest

from iamata.learning.schemas import Categorical, Column, Numeric, Outcome, Schema
from iamata.learning.tables import Table, parse_table
from iamata.model.reasons import Reason, Refused

AGE = Numeric(name="age", low=0, high=120)
SEX = Categorical(name="sex", categories=("f", "m"))
DIED = Outcome(name="died")
FLAG = Numeric(name="flag", low=0, high=1)
WIDE = Numeric(name="wide", low=0, high=2)
TRUTHS = [True, "True", "TRUE", "true", False, "False", "FALSE", "false", None, float("nan")]
AS_NUMBERS = [1, 1, 1, 1, 0, 0, 0, 0, np.nan, np.nan]


def parse(column: Column, cells: list[Any], outcome: list[Any] | None = None) -> Table:
    schema = Schema(columns=(column,), outcome=DIED)
    columns = {column.name: cells, "died": outcome or [0] * len(cells)}
    return parse_table(schema, columns, [str(number) for number in range(len(cells))])


@pytest.mark.parametrize(
    ("columns", "features", "word"),
    [
        ((AGE, AGE), (), "two columns"),
        ((), (), "number of columns"),
        ((Numeric(name="died", low=0, high=1),), (), "two columns"),
        ((Numeric(name="age", low=1, high=1),), (), "bounds"),
        ((Numeric(name="age", low=0, high=float("inf")),), (), "bounds"),
        ((Numeric(name="age", low=float("nan"), high=1),), (), "bounds"),
        ((Numeric(name="", low=0, high=1),), (), "length of a name"),
        ((Categorical(name="sex", categories=()),), (), "categories"),
        ((Categorical(name="sex", categories=("f", "f")),), (), "categories"),
        ((Categorical(name="sex", categories=("", "f")),), (), "categories"),
        ((AGE,), ("height",), "no column height"),
    ],
)
def test_a_schema_that_no_table_could_have_is_refused(
    columns: tuple[Column, ...], features: tuple[str, ...], word: str
) -> None:
    with pytest.raises(Refused, match=word) as refused:
        Schema(columns=columns, outcome=DIED, features=features)

    assert refused.value.reason is Reason.SCHEMA_INVALID


def test_a_count_that_could_be_below_0_is_refused() -> None:
    Schema(columns=(AGE,), outcome=Outcome(name="visits", kind="count", low=0, high=50))

    with pytest.raises(Refused, match="visits: no count is below 0") as refused:
        Schema(columns=(AGE,), outcome=Outcome(name="visits", kind="count", low=-1, high=50))

    assert refused.value.reason is Reason.SCHEMA_INVALID


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        (AGE, 121, Reason.VALUE_OUT_OF_BOUNDS),
        (AGE, float("inf"), Reason.VALUE_OUT_OF_BOUNDS),
        (Numeric(name="age", low=0, high=120, outside="clip"), float("-inf"), Reason.VALUE_OUT_OF_BOUNDS),
        (AGE, "old", Reason.TABLE_CLASHES),
        (AGE, 10**400, Reason.TABLE_CLASHES),
        (AGE, [1], Reason.TABLE_CLASHES),
        (AGE, True, Reason.TABLE_CLASHES),
        (SEX, False, Reason.TABLE_CLASHES),
        (Numeric(name="age", low=0, high=120, missing="refuse"), None, Reason.VALUE_MISSING),
        (Numeric(name="age", low=0, high=120, missing="refuse"), float("nan"), Reason.VALUE_MISSING),
        (Numeric(name="age", low=0, high=9, missing="refuse", outside="missing"), 10, Reason.VALUE_MISSING),
        (SEX, "x", Reason.TABLE_CLASHES),
        (SEX, "true", Reason.TABLE_CLASHES),
        (WIDE, True, Reason.TABLE_CLASHES),
        (WIDE, "True", Reason.TABLE_CLASHES),
        (FLAG, "yes", Reason.TABLE_CLASHES),
        (Categorical(name="sex", categories=("True", "False", "unknown")), True, Reason.TABLE_CLASHES),
        (Categorical(name="sex", categories=("f", "m"), missing="refuse"), "", Reason.VALUE_MISSING),
    ],
)
def test_a_cell_that_does_not_fit_is_refused_without_being_shown(
    column: Column, cell: object, reason: Reason
) -> None:
    with pytest.raises(Refused) as refused:
        parse(column, [cell])

    assert refused.value.reason is reason
    assert column.name in refused.value.detail
    assert not isinstance(cell, str) or not cell or cell not in refused.value.detail.split()


@pytest.mark.parametrize(
    ("column", "cells", "values"),
    [
        (AGE, [1, None, "2.5", float("nan"), ""], [1, np.nan, 2.5, np.nan, np.nan]),
        (Numeric(name="age", low=0, high=9, outside="clip"), [-1, 10, 5], [0, 9, 5]),
        (Numeric(name="age", low=0, high=9, outside="missing"), [-1, 10, 5], [np.nan, np.nan, 5]),
        (SEX, ["m", None, "f", float("nan")], [1, np.nan, 0, np.nan]),
        (FLAG, TRUTHS, AS_NUMBERS),
        (FLAG, [1, "0", "0.5"], [1, 0, 0.5]),
        (Categorical(name="ill", categories=("0", "1")), [*TRUTHS, 1, "0"], [*AS_NUMBERS, 1, 0]),
        (Categorical(name="ill", categories=("False", "True")), TRUTHS, AS_NUMBERS),
        (Categorical(name="ill", categories=("true", "false")), [True, "FALSE"], [0, 1]),
        (Categorical(name="ill", categories=("true", "false", "unknown")), [True, "false"], [0, 1]),
        (Categorical(name="sex", categories=("f", "m"), outside="missing"), ["x", "f"], [np.nan, 0]),
    ],
)
def test_cells_become_what_the_schema_says(column: Column, cells: list[Any], values: list[float]) -> None:
    np.testing.assert_array_equal(parse(column, cells).columns[column.name], values)


def test_an_outcome_may_be_true_or_false() -> None:
    died = parse(AGE, [1, 2, 3, 4], [True, "False", "1", 0]).outcome

    assert died.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        (AGE, [1, 121, 2, -3], "age: beyond 0 to 120 (rows [1, 3])"),
        (AGE, [1, "old"], "age: not a number (rows [1])"),
        (FLAG, ["yes", True], "flag: neither a number nor true or false (rows [0])"),
        (AGE, [float("inf"), 1], "age: infinite (rows [0])"),
        (
            Numeric(name="age", low=0, high=9, missing="refuse"),
            [1, None],
            "age: a value is missing (rows [1])",
        ),
        (SEX, ["f", "x", "m"], "sex: none of its categories, f, m (rows [1])"),
    ],
)
def test_who_has_the_file_is_told_which_rows_to_mend(column: Column, cells: list[Any], said: str) -> None:
    schema = Schema(columns=(column,), outcome=DIED)
    columns = {column.name: cells, "died": [0] * len(cells)}
    patients = [str(number) for number in range(len(cells))]

    with pytest.raises(Refused) as told:
        parse_table(schema, columns, patients, tell_rows=lambda rows: f"rows {list(rows)}")
    with pytest.raises(Refused) as untold:
        parse_table(schema, columns, patients)

    assert told.value.detail == said
    assert untold.value.detail == said.partition(" (")[0]


def test_of_many_categories_a_refusal_lists_some() -> None:
    column = Categorical(name="ward", categories=tuple(map(str, range(1, 13))))

    with pytest.raises(Refused, match="1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more"):
        parse(column, ["13"])


@pytest.mark.parametrize(
    ("outcome", "reason", "detail"),
    [
        (None, Reason.VALUE_MISSING, "died: the outcome is missing"),
        (0.5, Reason.VALUE_OUT_OF_BOUNDS, "died: none of 0, 1, true and false"),
        (2, Reason.VALUE_OUT_OF_BOUNDS, "died: none of 0, 1, true and false"),
        ("yes", Reason.TABLE_CLASHES, "died: none of 0, 1, true and false"),
    ],
)
def test_an_outcome_is_true_or_false_and_never_missing(outcome: Any, reason: Reason, detail: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(AGE, [1], [outcome])

    assert (refused.value.reason, refused.value.detail) == (reason, detail)


@pytest.mark.parametrize("columns", [{"age": [1]}, {"age": [1, 2], "died": [0]}, {"died": [0]}])
def test_a_column_that_is_absent_or_too_long_is_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        parse_table(Schema(columns=(AGE,), outcome=DIED), columns, ["p"])

    assert refused.value.reason is Reason.TABLE_CLASHES


def test_without_a_patient_a_table_is_as_if_they_had_never_been_there() -> None:
    schema = Schema(columns=(AGE,), outcome=DIED)
    whole = parse_table(schema, {"age": [1, 2, 3], "died": [0, 1, 0]}, ["a", "b", "a"])
    never = parse_table(schema, {"age": [2], "died": [1]}, ["b"])

    left = whole.without({"a"})

    assert (left.patients, left.columns["age"].tolist()) == (never.patients, never.columns["age"].tolist())
    assert (whole.count_patients(), left.count_patients()) == (2, 1)


@pytest.mark.parametrize(
    ("kind", "low", "lowest"),
    [
        ("binary", -2.0, 0.0),
        ("binary", 0.5, 1.0),
        ("count", -0.5, 0.0),
        ("count", 1.2, 2.0),
        ("number", -2.5, -2.5),
    ],
)
def test_the_lowest_outcome_is_one_that_a_row_may_have(
    kind: Literal["binary", "count", "number"], low: float, lowest: float
) -> None:
    outcome = Outcome(name="died", kind=kind, low=low, high=9.0)
    schema = Schema(columns=(AGE,), outcome=outcome)

    assert outcome.lowest == lowest
    assert parse_table(schema, {"age": [50], "died": [outcome.lowest]}, ["p"]).outcome.tolist() == [lowest]


def test_whole_numbers_are_categories_as_they_are_spelled_where_a_file_adds_a_point() -> None:
    column = Categorical(name="stage", categories=("1", "2"), outside="missing")
    schema = Schema(columns=(column,), outcome=Outcome(name="ill"))

    table = parse_table(schema, {"stage": [1.0, 2.0, 1, "2", 1.5], "ill": [0, 1, 0, 1, 0]}, list("abcde"))

    assert table.columns["stage"].tolist()[:4] == [0.0, 1.0, 0.0, 1.0]
    assert np.isnan(table.columns["stage"][4])


@pytest.mark.parametrize("cell", ["1_0", "٣"])
def test_what_only_python_takes_for_a_number_is_none(cell: str) -> None:
    schema = Schema(columns=(Numeric(name="marker", low=0, high=100),), outcome=Outcome(name="ill"))

    with pytest.raises(Refused) as refused:
        parse_table(schema, {"marker": [cell], "ill": [0]}, ["a"])

    assert refused.value.reason is Reason.TABLE_CLASHES
