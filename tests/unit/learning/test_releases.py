"""A model that would tell of fewer than ten patients is not let go, and the refusal gives no number."""

import re
from typing import Any, Literal

import pytest

from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.newton import Settings
from iamata.learning.programmes import run
from iamata.learning.protocols import (
    Bayes,
    Estimator,
    Learned,
    Private,
    Protocol,
    Regression,
    Trees,
    learn,
    split_site,
)
from iamata.learning.schemas import Categorical, Missing, Numeric, Outcome, Schema
from iamata.learning.tables import parse_table
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import write_protocol

ROWS = 120


YES_OR_NO = Outcome(name="ill")
EACH = tuple(f"patient-{number}" for number in range(ROWS))
OFTEN = ("patient-0",) * 12 + EACH[12:]
"""The first twelve rows are one patient's."""


def make_protocol(
    estimator: Estimator, *, missing: Missing = "indicator", outcome: Outcome = YES_OR_NO
) -> Protocol:
    columns = (
        Numeric(name="load", low=0.0, high=1e6, outside="clip", missing=missing),
        Categorical(name="rare", categories=("no", "never", "yes"), outside="missing"),
    )
    schema = Schema(columns=columns, outcome=outcome)
    return write_protocol(estimator=estimator, schema=schema)


def make_rows(**changed: list[Any]) -> dict[str, list[Any]]:
    """Make rows of which nothing is few, with other columns where `changed` says so."""
    rows: dict[str, list[Any]] = {
        "load": [1000.0 * (number % 37) for number in range(ROWS)],
        "rare": ["yes" if number % 3 == 0 else "no" for number in range(ROWS)],
        "ill": [int(number % 2 == 0) for number in range(ROWS)],
    }
    return rows | changed


def train(protocol: Protocol, rows: dict[str, list[Any]], patients: tuple[str, ...] = EACH) -> Learned:
    table = parse_table(protocol.schema, rows, patients)
    return run(lambda: learn(protocol), [split_site(protocol, table, number=0)])


def refuse(protocol: Protocol, rows: dict[str, list[Any]], patients: tuple[str, ...] = EACH) -> str:
    with pytest.raises(Refused) as refused:
        train(protocol, rows, patients)
    assert refused.value.reason is Reason.TOO_FEW_PATIENTS
    assert not re.search(r"\d", refused.value.detail)
    return refused.value.detail


FEW_TREES = Trees(settings=Boosting(trees_max=3, stops_early=False))
FEW = ["yes"] * 9 + ["no"] * (ROWS - 9)
MISSING = [None] * 9 + [1000.0 * (number % 37) for number in range(ROWS - 9)]
KNOWN = [1000.0 * number for number in range(9)] + [None] * (ROWS - 9)
FEW_ILL = [int(number < 18 and number % 2 == 0) for number in range(ROWS)]
BY_ONE = [int(number < 12) for number in range(ROWS)]
POISSON = Regression(settings=Settings(family="poisson"))
LINEAR = Regression(settings=Settings(family="linear"))


@pytest.mark.parametrize("estimator", [Regression(), Bayes(), FEW_TREES])
def test_a_model_of_many_is_let_go_and_a_category_that_nobody_has_is_no_matter(
    estimator: Estimator,
) -> None:
    assert train(make_protocol(estimator), make_rows()).model


def test_a_regression_takes_a_category_of_few_for_one_that_nobody_has() -> None:
    protocol = make_protocol(Regression(), missing="mean")

    few, nobody = (train(protocol, make_rows(rare=one)).model for one in (FEW, ["no"] * ROWS))

    assert few == nobody


def test_naive_bayes_tells_no_category_of_few() -> None:
    said = refuse(make_protocol(Bayes()), make_rows(rare=FEW))

    assert said == "rare: too few patients of a category; merge it with another, or leave the column out"


def test_naive_bayes_tells_no_category_that_few_of_one_outcome_have() -> None:
    rare = ["yes" if number % 2 == 0 or number < 18 else "no" for number in range(ROWS)]

    assert refuse(make_protocol(Bayes()), make_rows(rare=rare)).startswith("rare: ")


@pytest.mark.parametrize("estimator", [Regression(), Bayes()])
def test_a_mean_of_few_is_not_told(estimator: Estimator) -> None:
    protocol = make_protocol(estimator, missing="mean")

    said = refuse(protocol, make_rows(load=KNOWN))

    assert said == "load: too few patients with a value; leave the column out"


def test_a_regression_tells_of_no_few_whose_value_is_missing() -> None:
    raw = train(make_protocol(Regression()), make_rows(load=MISSING)).model

    model = decode_model(raw, identify_model(raw))
    assert isinstance(model, LinearModel)
    lacking = [one for one in model.fit.moments.terms if (one.column, one.category) == ("load", "")]
    assert [(one.mean, one.spread) for one in lacking] == [(0.0, 0.0)]


ESTIMATORS = [Regression(), Bayes(), FEW_TREES]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "ill", [FEW_ILL, [1 - one for one in FEW_ILL], [int(number == 7) for number in range(ROWS)]]
)
def test_a_model_of_few_with_the_outcome_or_without_it_is_not_let_go(
    estimator: Estimator, ill: list[int]
) -> None:
    assert refuse(make_protocol(estimator), make_rows(ill=ill)).startswith("ill: ")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_outcome_that_one_patient_has_in_many_rows_is_one_patients(estimator: Estimator) -> None:
    rows = make_rows(ill=BY_ONE, rare=["no"] * ROWS)

    assert train(make_protocol(estimator), rows).model
    assert refuse(make_protocol(estimator), rows, OFTEN).startswith("ill: ")


@pytest.mark.parametrize(("estimator", "kind"), [(POISSON, "count"), (LINEAR, "number")])
def test_a_model_of_few_above_the_lowest_value_is_not_let_go(
    estimator: Estimator, kind: Literal["count", "number"]
) -> None:
    protocol = make_protocol(estimator, outcome=Outcome(name="ill", kind=kind, low=0.0, high=20.0))
    rows = make_rows(ill=[3 * one for one in BY_ONE])

    assert train(protocol, rows).model
    assert refuse(protocol, rows, OFTEN) == "ill: too few patients above the lowest value"


RARE_BY_ONE = ["yes" if number < 12 else "no" for number in range(ROWS)]


def test_a_category_that_one_patient_has_in_many_rows_is_taken_for_one_that_nobody_has() -> None:
    protocol = make_protocol(Regression(), missing="mean")

    one, nobody = (train(protocol, make_rows(rare=rare), OFTEN) for rare in (RARE_BY_ONE, ["no"] * ROWS))

    assert one.model == nobody.model
    assert train(protocol, make_rows(rare=RARE_BY_ONE)).model != nobody.model


def test_naive_bayes_tells_no_category_that_one_patient_has_in_many_rows() -> None:
    rare = ["yes" if number < 12 or number % 3 == 0 else "no" for number in range(ROWS)]
    ill = [int(number >= 12 and number % 2 == 0) for number in range(ROWS)]

    assert train(make_protocol(Bayes()), make_rows(rare=rare, ill=ill), OFTEN).model
    assert refuse(make_protocol(Bayes()), make_rows(rare=RARE_BY_ONE), OFTEN).startswith("rare: ")


@pytest.mark.parametrize("first", [3, 7, 8])
def test_those_whom_no_indicator_tells_apart_are_counted_together_and_each_once(first: int) -> None:
    """The first category and those that few have: a fit tells how many they are in all."""
    protocol = make_protocol(Regression())
    rare = ["no"] * first + ["never"] * 6 + ["yes"] * (ROWS - first - 6)
    same = (*EACH[:first], *EACH[: min(6, first)], *EACH[first + min(6, first) :])

    said = "rare: too few patients of a category; merge it with another, or leave the column out"
    if first + 6 < 10:
        assert refuse(protocol, make_rows(rare=rare)) == said
    else:
        assert train(protocol, make_rows(rare=rare)).model
        assert refuse(protocol, make_rows(rare=rare), same) == said


def test_where_noise_is_added_a_few_are_no_matter() -> None:
    assert train(make_protocol(Private(epsilon_micro=1_000_000)), make_rows(rare=FEW)).model
