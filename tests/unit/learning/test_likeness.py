"""How alike two tables' columns are: what differs, and by how many patients."""

from collections.abc import Sequence
from typing import Literal

import pytest

from iamata.learning.likeness import compute_least_difference, find_near_twins
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Cell, Table, parse_table

PATIENTS = tuple(f"p{number:02}" for number in range(20))
MARKERS: list[Cell] = [number / 4 for number in range(20)]
WORDS: list[Cell] = ["no", "yes"] * 10
OUTCOMES: list[Cell] = [1, 0, 0, 1] * 5


def write_table(  # noqa: PLR0913  columns, and what a schema says of them
    markers: Sequence[Cell] = MARKERS,
    words: Sequence[Cell] = WORDS,
    outcomes: Sequence[Cell] = OUTCOMES,
    *,
    suffix: str = "",
    patients: tuple[str, ...] = PATIENTS,
    high: float = 5.0,
    outside: Literal["refuse", "clip", "missing"] = "refuse",
) -> Table:
    schema = Schema(
        columns=(
            Numeric(name=f"marker{suffix}", low=-5.0, high=high, outside=outside),
            Categorical(name=f"smokes{suffix}", categories=("no", "yes")),
        ),
        outcome=Outcome(name=f"ill{suffix}"),
    )
    columns: dict[str, Sequence[Cell]] = {
        f"marker{suffix}": markers,
        f"smokes{suffix}": words,
        f"ill{suffix}": outcomes,
    }
    return parse_table(schema, columns, patients)


def count(one: Table, other: Table) -> int:
    return compute_least_difference(one, other, PATIENTS)


def test_tables_of_the_same_rows_have_nothing_to_compare() -> None:
    assert count(write_table(), write_table()) == 0
    assert count(write_table(), write_table(suffix="_1")) == 0


@pytest.mark.parametrize("changed", [1, 3, 20])
@pytest.mark.parametrize("suffix", ["", "_1"])
def test_changed_values_are_counted_by_patient_whatever_the_column_is_called(
    changed: int, suffix: str
) -> None:
    markers: list[Cell] = [*[-1.0] * changed, *MARKERS[changed:]]

    assert count(write_table(), write_table(markers, suffix=suffix)) == changed


def test_a_missing_value_is_a_value() -> None:
    one = write_table([None, *MARKERS[1:]])

    assert count(one, one) == 0
    assert count(write_table(), one) == 1


def test_values_are_compared_as_they_are_bounded() -> None:
    assert count(write_table(), write_table(high=4.1, outside="clip")) == 3
    assert count(write_table(), write_table(high=4.1, outside="missing")) == 3


def test_a_number_equals_an_outcome_of_the_same_values() -> None:
    """A column may be one study's outcome and another's feature."""
    flipped: list[Cell] = [0, *OUTCOMES[1:]]

    assert count(write_table(), write_table(flipped, ["no"] * 20, [0, 1] * 10)) == 1


def test_columns_of_one_table_are_not_compared() -> None:
    rare: list[Cell] = [*["no"] * 19, "yes"]
    table = write_table(OUTCOMES, rare, [0, *OUTCOMES[1:]])

    assert count(table, table) == 0


def test_another_row_of_one_patient_counts_and_so_does_a_patient_without_rows() -> None:
    twice = write_table([*MARKERS, 1.0], [*WORDS, "no"], [*OUTCOMES, 0], patients=(*PATIENTS, PATIENTS[-1]))
    fewer = write_table(MARKERS[1:], WORDS[1:], OUTCOMES[1:], patients=PATIENTS[1:])

    assert count(write_table(), twice) == 1
    assert count(write_table(), fewer) == 1


def write_pair(one: Sequence[Cell], other: Sequence[Cell], *, patients: Sequence[str]) -> Table:
    columns = tuple(Numeric(name=name, low=0.0, high=100.0, missing="mean") for name in ("one", "other"))
    outcomes = [number % 2 for number in range(len(one))]
    schema = Schema(columns=columns, outcome=Outcome(name="ill"))
    return parse_table(schema, {"one": one, "other": other, "ill": outcomes}, patients)


@pytest.mark.parametrize(
    ("changed", "found"), [(0, None), (1, ("one", "other")), (9, ("one", "other")), (10, None)]
)
def test_two_columns_that_a_few_patients_tell_apart_are_found(
    changed: int, found: tuple[str, str] | None
) -> None:
    one: list[Cell] = list(range(30))
    other = [value if place >= changed else 99 for place, value in enumerate(one)]

    table = write_pair(one, other, patients=[f"p{number}" for number in range(30)])

    assert find_near_twins(table, least=10) == found


def test_flags_that_are_hardly_ever_set_are_not_alike_for_what_is_commonest() -> None:
    one: Sequence[Cell] = [1] * 3 + [0] * 27
    other: Sequence[Cell] = [0] * 27 + [1] * 3

    table = write_pair(one, other, patients=[f"p{number}" for number in range(30)])

    assert find_near_twins(table, least=10) is None


def test_a_patient_with_many_rows_tells_columns_apart_once() -> None:
    one: list[Cell] = list(range(40))
    other: list[Cell] = [*range(20), *([99] * 20)]

    table = write_pair(one, other, patients=[*(f"p{number}" for number in range(20)), *["many"] * 20])

    assert find_near_twins(table, least=10) == ("one", "other")
