"""A model that would tell of fewer than ten rows is not let go, and the refusal gives no number."""

import re
from typing import Any

import pytest

from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
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


def make_protocol(estimator: Estimator, *, missing: Missing = "indicator") -> Protocol:
    columns = (
        Numeric(name="load", low=0.0, high=1e6, outside="clip", missing=missing),
        Categorical(name="rare", categories=("no", "never", "yes"), outside="missing"),
    )
    schema = Schema(columns=columns, outcome=Outcome(name="ill"))
    return write_protocol(estimator=estimator, schema=schema)


def make_rows(**changed: list[Any]) -> dict[str, list[Any]]:
    """Make rows of which nothing is few, with other columns where `changed` says so."""
    rows: dict[str, list[Any]] = {
        "load": [1000.0 * (number % 37) for number in range(ROWS)],
        "rare": ["yes" if number % 3 == 0 else "no" for number in range(ROWS)],
        "ill": [int(number % 2 == 0) for number in range(ROWS)],
    }
    return rows | changed


def train(protocol: Protocol, rows: dict[str, list[Any]]) -> Learned:
    table = parse_table(protocol.schema, rows, [f"patient-{number}" for number in range(ROWS)])
    return run(lambda: learn(protocol), [split_site(protocol, table, number=0)])


def refuse(protocol: Protocol, rows: dict[str, list[Any]]) -> str:
    with pytest.raises(Refused) as refused:
        train(protocol, rows)
    assert refused.value.reason is Reason.TOO_FEW_PATIENTS
    assert not re.search(r"\d", refused.value.detail)
    return refused.value.detail


FEW = ["yes"] * 9 + ["no"] * (ROWS - 9)
MISSING = [None] * 9 + [1000.0 * (number % 37) for number in range(ROWS - 9)]
KNOWN = [1000.0 * number for number in range(9)] + [None] * (ROWS - 9)
FEW_ILL = [int(number < 18 and number % 2 == 0) for number in range(ROWS)]


@pytest.mark.parametrize("estimator", [Regression(), Bayes(), Trees(settings=Boosting(trees_max=3))])
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

    assert said == "rare: too few rows of a category; merge it with another, or leave the column out"


def test_naive_bayes_tells_no_category_that_few_of_one_outcome_have() -> None:
    rare = ["yes" if number % 2 == 0 or number < 18 else "no" for number in range(ROWS)]

    assert refuse(make_protocol(Bayes()), make_rows(rare=rare)).startswith("rare: ")


@pytest.mark.parametrize("estimator", [Regression(), Bayes()])
def test_a_mean_of_few_is_not_told(estimator: Estimator) -> None:
    protocol = make_protocol(estimator, missing="mean")

    said = refuse(protocol, make_rows(load=KNOWN))

    assert said == "load: too few rows with a value; leave the column out"


def test_a_regression_tells_of_no_few_whose_value_is_missing() -> None:
    raw = train(make_protocol(Regression()), make_rows(load=MISSING)).model

    model = decode_model(raw, identify_model(raw))
    assert isinstance(model, LinearModel)
    lacking = [one for one in model.fit.moments.terms if (one.column, one.category) == ("load", "")]
    assert [(one.mean, one.spread) for one in lacking] == [(0.0, 0.0)]


@pytest.mark.parametrize("estimator", [Bayes(), Trees(settings=Boosting(trees_max=3))])
def test_rates_of_few_with_the_outcome_are_not_told(estimator: Estimator) -> None:
    assert refuse(make_protocol(estimator), make_rows(ill=FEW_ILL)).startswith("ill: ")


def test_where_noise_is_added_a_few_are_no_matter() -> None:
    assert train(make_protocol(Private(epsilon_micro=1_000_000)), make_rows(rare=FEW)).model
