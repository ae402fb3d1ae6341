"""A protocol whose rounds nobody could carry is refused before anybody reviews it."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest

from iamata.learning.estimators.families import FamilyName
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.model_files import MODEL_BYTES_MAX
from iamata.learning.estimators.newton import Settings
from iamata.learning.estimators.splitting import Growth
from iamata.learning.evaluation.evaluating import Plan
from iamata.learning.evaluation.subgroups import list_sites
from iamata.learning.programmes import Query, Site, add_plainly, run
from iamata.learning.protocols import (
    MICRO,
    Bayes,
    Estimator,
    Private,
    Protocol,
    Regression,
    Trees,
    learn,
    split_site,
)
from iamata.learning.schemas import Categorical, Column, Numeric, Outcome, Schema
from iamata.learning.secure_sum.plans import DELIVERY_VALUES_MAX
from iamata.learning.sizes import check_size, count_largest, count_model_bytes
from iamata.learning.tables import Integers, parse_table
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import SCHEMA, draw_rows, write_protocol
from iamata.vault.openings import PAYLOAD_BYTES_MAX

Kind = Literal["binary", "count", "number"]
ESTIMATORS: list[Estimator] = [
    Regression(),
    Trees(settings=Boosting(trees_max=3, bins_max=8, growth=Growth(depth_max=3))),
    Bayes(),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_no_query_is_longer_than_was_counted(estimator: Estimator) -> None:
    protocol = write_protocol(estimator=estimator, holdout_percent=0)
    rows = draw_rows(400, seed=1)
    columns = {name: [row[name] for row in rows] for name in ("marker", "smokes", "ill")}
    table = parse_table(SCHEMA, columns, [f"patient-{number}" for number in range(len(rows))])
    lengths: list[int] = []

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        lengths.append(query.length)
        return add_plainly(query, shares)

    site = Site(table, memory={"training": Site(table), "holdout": Site(table)})
    run(lambda: learn(protocol), [site], add)

    assert 0 < max(lengths) <= count_largest(protocol) <= 2 * max(lengths)


@pytest.mark.parametrize(("family", "kind"), [("linear", "number"), ("poisson", "count")])
def test_an_evaluation_of_numbers_is_counted(family: FamilyName, kind: Kind) -> None:
    schema = Schema(columns=SCHEMA.columns, outcome=Outcome(name="ill", kind=kind))
    estimator, plan = Regression(settings=Settings(family=family)), Plan(groups=tuple(list_sites(2)))
    protocol = write_protocol(schema=schema, estimator=estimator, evaluation=plan, holdout_percent=50)
    rows = draw_rows(400, seed=1)
    columns = {name: [row[name] for row in rows] for name in ("marker", "smokes", "ill")}
    site = split_site(protocol, parse_table(schema, columns, [str(one) for one in range(400)]), number=0)
    lengths: list[int] = []

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        lengths.append(query.length)
        return add_plainly(query, shares)

    learned = run(lambda: learn(protocol), [site], add)

    assert learned.evaluation is not None
    assert max(lengths) == count_largest(protocol) > plan.cells


def test_a_protocol_with_too_large_rounds_is_refused_by_the_limits_name() -> None:
    columns = tuple(Numeric(name=f"c{number}", low=0.0, high=1.0) for number in range(400))
    wide = write_protocol(schema=Schema(columns=columns, outcome=Outcome(name="ill")))
    sites = DELIVERY_VALUES_MAX // (count_largest(wide) + 1)

    check_size(wide, sites=sites)
    with pytest.raises(Refused, match="DELIVERY_VALUES_MAX") as refused:
        check_size(wide, sites=sites + 1)
    assert refused.value.reason is Reason.TOO_LARGE
    deep = write_protocol(estimator=Trees(settings=Boosting(growth=Growth(depth_max=10**9))))
    with pytest.raises(Refused, match="VALUES_MAX"):
        check_size(deep, sites=3)


@pytest.mark.parametrize(("family", "kind"), [("linear", "number"), ("poisson", "count")])
def test_no_models_file_is_longer_than_was_counted(family: FamilyName, kind: Kind) -> None:
    columns: tuple[Column, ...] = (
        *(Numeric(name=f"n{number}", low=0.0, high=1.0, missing="refuse") for number in range(20)),
        Categorical(name="c", categories=tuple(f"käse {number}" for number in range(40)), missing="refuse"),
    )
    schema = Schema(columns=columns, outcome=Outcome(name="y", kind=kind, high=9.0))
    protocol = write_protocol(schema=schema, estimator=Regression(settings=Settings(family=family)))
    chance = np.random.default_rng(2)
    cells = {f"n{number}": chance.random(800).tolist() for number in range(20)}
    words = [f"käse {number % 40}" for number in range(800)]
    outcome = chance.integers(0, 9, 800).tolist()
    table = parse_table(schema, {**cells, "c": words, "y": outcome}, [str(one) for one in range(800)])

    learned = run(lambda: learn(protocol), [split_site(protocol, table, number=0)])

    assert len(learned.model) <= count_model_bytes(protocol) <= 1.5 * len(learned.model)


@pytest.mark.parametrize(
    ("estimator", "most"),
    [(Regression(), 272), (Private(epsilon_micro=MICRO), 948)],
    ids=["exact", "private"],
)
def test_a_protocol_whose_model_nobody_could_keep_is_refused(estimator: Estimator, most: int) -> None:
    def write(categories: int) -> Protocol:
        words = tuple(str(number) for number in range(categories))
        columns = tuple(
            Categorical(name=name, categories=words, missing="mean", outside="missing") for name in "abc"
        )
        schema = Schema(columns=columns, outcome=Outcome(name="y"))
        return write_protocol(schema=schema, estimator=estimator)

    check_size(write(most), sites=4)
    with pytest.raises(Refused, match="MODEL_BYTES_MAX is 16,777,216; leave columns out") as refused:
        check_size(write(most + 1), sites=4)
    assert refused.value.reason is Reason.TOO_LARGE
    assert MODEL_BYTES_MAX <= PAYLOAD_BYTES_MAX


def test_counts_that_no_site_could_add_up_are_refused_before_anybody_reviews_them() -> None:
    def write(high: float) -> Protocol:
        outcome = Outcome(name="ill", kind="count", high=high)
        estimator = Regression(settings=Settings(family="poisson"))
        return write_protocol(schema=Schema(columns=SCHEMA.columns, outcome=outcome), estimator=estimator)

    check_size(write(2.0**32), sites=4)
    with pytest.raises(Refused, match="4,294,967,296") as refused:
        check_size(write(2.0**32 + 1), sites=4)
    assert refused.value.reason is Reason.SCHEMA_INVALID
