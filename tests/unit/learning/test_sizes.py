"""A protocol whose rounds nobody could carry is refused before anybody reviews it."""

from collections.abc import Sequence
from typing import Literal

import pytest

from iamata.learning.estimators.families import FamilyName
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.newton import Settings
from iamata.learning.estimators.splitting import Growth
from iamata.learning.evaluation.evaluating import Plan
from iamata.learning.evaluation.subgroups import list_sites
from iamata.learning.programmes import Query, Site, add_plainly, run
from iamata.learning.protocols import Bayes, Estimator, Regression, Trees, learn, split_site
from iamata.learning.schemas import Numeric, Outcome, Schema
from iamata.learning.secure_sum.plans import DELIVERY_VALUES_MAX
from iamata.learning.sizes import check_size, count_largest
from iamata.learning.tables import Integers, parse_table
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import SCHEMA, draw_rows, write_protocol

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
    columns = tuple(Numeric(name=f"c{number}", low=0.0, high=1.0) for number in range(800))
    wide = write_protocol(schema=Schema(columns=columns, outcome=Outcome(name="ill")))
    sites = DELIVERY_VALUES_MAX // (count_largest(wide) + 1)

    check_size(wide, sites=sites)
    with pytest.raises(Refused, match="DELIVERY_VALUES_MAX") as refused:
        check_size(wide, sites=sites + 1)
    assert refused.value.reason is Reason.TOO_LARGE
    deep = write_protocol(estimator=Trees(settings=Boosting(growth=Growth(depth_max=10**9))))
    with pytest.raises(Refused, match="VALUES_MAX"):
        check_size(deep, sites=3)
