"""Two categories that few patients tell apart, wherever these are, make no regression."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest

from iamata.learning.estimators.newton import Settings
from iamata.learning.programmes import Query, add_plainly, run
from iamata.learning.protocols import Protocol, Regression, learn, split_site
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.sizes import count_largest
from iamata.learning.tables import Cell, Integers, Table, parse_table
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import write_protocol

ROWS = 160
EACH = [f"patient-{number}" for number in range(ROWS)]
WARDS = ("a", "b", "obstetrics")


def write_wards(wards: tuple[str, ...]) -> Protocol:
    columns = (
        Numeric(name="age", low=0.0, high=120.0),
        Categorical(name="ward", categories=wards),
        Categorical(name="diagnosis", categories=("x", "y", "pregnancy")),
    )
    outcome = Outcome(name="cost", kind="number", low=0.0, high=10_000.0)
    linear = Regression(settings=Settings(family="linear"))
    return write_protocol(estimator=linear, schema=Schema(columns=columns, outcome=outcome))


PROTOCOL = write_wards(WARDS)


def write_table(
    *,
    both: int = 20,
    outside: int = 0,
    unmeasured: int = 0,
    patients: Sequence[str] = EACH,
    wards: tuple[str, ...] = WARDS,
) -> Table:
    """Write rows of which `both` are pregnant in obstetrics, and so many more pregnant elsewhere."""
    others = range(both, ROWS)
    columns: dict[str, Sequence[Cell]] = {
        "age": [None if number < unmeasured else 20 + number % 60 for number in range(ROWS)],
        "ward": ["obstetrics"] * both + ["ab"[number % 2] for number in others],
        "diagnosis": ["pregnancy"] * (both + outside) + ["xy"[one % 3 % 2] for one in others][outside:],
        "cost": [float(10 + 37 * number % 9_000) for number in range(ROWS)],
    }
    return parse_table(write_wards(wards).schema, columns, patients)


def train(*tables: Table, protocol: Protocol = PROTOCOL) -> list[Query]:
    """Train over sites, and return what was asked."""
    asked: list[Query] = []

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        asked.append(query)
        return add_plainly(query, shares)

    sites = [split_site(protocol, table, number=number) for number, table in enumerate(tables)]
    assert run(lambda: learn(protocol), sites, add).model
    return asked


def refuse(*tables: Table, protocol: Protocol = PROTOCOL) -> str:
    with pytest.raises(Refused) as refused:
        train(*tables, protocol=protocol)
    assert refused.value.reason is Reason.TOO_FEW_PATIENTS
    return refused.value.detail


HARDLY = (
    "ward = obstetrics and diagnosis = pregnancy hardly differ;"
    " merge one with another category, or leave a column out"
)


@pytest.mark.parametrize("outside", [1, 9])
def test_two_categories_that_few_tell_apart_are_refused_by_name(outside: int) -> None:
    assert refuse(write_table(outside=outside)) == HARDLY


@pytest.mark.parametrize("outside", [0, 10])
def test_the_same_patients_or_ten_others_are_no_matter(outside: int) -> None:
    names = [query.name for query in train(write_table(outside=outside))]

    assert names.count("training/apart") == (outside == 0)


def test_what_few_tell_apart_is_seen_over_all_sites() -> None:
    """At neither site do ten have both, and at one of them nobody is in one category only."""
    table = write_table(both=18, outside=1)
    is_odd = np.arange(ROWS) % 2 == 1

    assert refuse(table.select(is_odd), table.select(~is_odd)) == HARDLY


def test_one_patient_with_many_rows_tells_two_categories_apart_once() -> None:
    patients = [*EACH[:20], *["many"] * 12, *EACH[32:]]

    assert refuse(write_table(outside=12, patients=patients)) == HARDLY
    assert train(write_table(outside=12))


@pytest.mark.parametrize("wards", list(permutations(("a", "b", "obstetrics"))))
def test_the_first_category_is_held_against_others_too(wards: tuple[str, ...]) -> None:
    """No indicator says who is in it; it follows from those of the others."""
    refused = refuse(write_table(outside=1, wards=wards), protocol=write_wards(wards))

    assert refused == HARDLY


def test_who_lacks_a_value_is_held_against_categories() -> None:
    said = refuse(write_table(both=0, outside=20, unmeasured=19))

    assert said.startswith("age = missing and diagnosis = pregnancy hardly differ")


def test_no_query_about_pairs_is_longer_than_was_foreseen() -> None:
    assert max(query.length for query in train(write_table())) <= count_largest(PROTOCOL)
