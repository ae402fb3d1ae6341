"""Regression over sums equals scikit-learn on all rows at once, wherever the rows lie."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression as PooledLogistic
from sklearn.linear_model import PoissonRegressor, Ridge
from sklearn.preprocessing import StandardScaler

from iamata.learning.estimators.design import list_terms, read_term
from iamata.learning.estimators.newton import LinearFit, Settings, fit_linear
from iamata.learning.estimators.regression import LinearRegression, LogisticRegression, PoissonRegression
from iamata.learning.federations import Tables
from iamata.learning.programmes import Query, Site, Values, add_plainly, decode_sum, encode_share
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Table, parse_table
from iamata.model.reasons import Reason, Refused

Cut = Callable[[Table, Sequence[int]], list[Table]]
MakeTable = Callable[..., Table]
GAP_MAX = 1e-6
CUTS = ([300], [150, 150], [200, 60, 30, 10])


def fill(table: Table) -> NDArray[np.float64]:
    """Return the design as scikit-learn's pipeline makes it: impute the mean, one-hot, standardise."""
    terms = list_terms(table.schema.get_features())
    raw = np.column_stack([read_term(table, column, category) for column, category in terms])
    raw = np.where(np.isnan(raw), np.nanmean(raw, axis=0), raw)
    return np.asarray(StandardScaler().fit_transform(raw))


def measure_gap(ours: Any, twin: Any) -> float:
    gap = np.abs(ours.coef_ - np.ravel(twin.coef_)).max()
    return float(max(gap, abs(ours.intercept_ - np.ravel(twin.intercept_)[0])))


@pytest.mark.parametrize("sizes", CUTS)
@pytest.mark.parametrize("l2", [1.0, 0.01, 30.0])
def test_logistic_regression_equals_its_twin(
    make_table: MakeTable, cut: Cut, sizes: list[int], l2: float
) -> None:
    table = make_table()
    twin = PooledLogistic(C=1 / l2, tol=1e-12, solver="newton-cholesky").fit(fill(table), table.outcome)

    ours = LogisticRegression(l2=l2).fit(Tables(cut(table, sizes)))

    assert measure_gap(ours, twin) <= GAP_MAX
    assert ours.n_iter_ <= 10
    np.testing.assert_allclose(ours.predict_proba(table), twin.predict_proba(fill(table)), atol=1e-6)


@pytest.mark.parametrize("sizes", CUTS)
def test_poisson_regression_equals_its_twin(make_table: MakeTable, cut: Cut, sizes: list[int]) -> None:
    table = make_table("count")
    twin = PoissonRegressor(alpha=2.0 / 300, tol=1e-12, solver="newton-cholesky")
    twin.fit(fill(table), table.outcome)

    ours = PoissonRegression(l2=2.0).fit(Tables(cut(table, sizes)))

    assert measure_gap(ours, twin) <= GAP_MAX


@pytest.mark.parametrize("sizes", CUTS)
def test_linear_regression_equals_its_twin(make_table: MakeTable, cut: Cut, sizes: list[int]) -> None:
    table = make_table("number")
    twin = Ridge(alpha=3.0).fit(fill(table), table.outcome)

    ours = LinearRegression(l2=3.0).fit(Tables(cut(table, sizes)))

    np.testing.assert_allclose(ours.predict(table), twin.predict(fill(table)), atol=1e-4)
    assert np.abs(150 * ours.coef_ - twin.coef_).max() <= 150 * GAP_MAX


def test_every_site_asks_the_same_queries_by_itself(make_table: MakeTable, cut: Cut) -> None:
    sites = [Site(table) for table in cut(make_table(), [120, 100, 80])]
    running = [fit_linear(site.table.schema, Settings()) for site in sites]
    queries: list[Query] = [next(one) for one in running]
    fits: list[LinearFit] = []
    total: Values = {}

    while not fits:
        assert len({query.digest() for query in queries}) == 1
        shares = [encode_share(q, q.compute(q.given, site)) for q, site in zip(queries, sites, strict=True)]
        total = decode_sum(queries[0], add_plainly(queries[0], shares))
        try:
            queries = [one.send(total) for one in running]
        except StopIteration as end:
            fits.append(end.value)

    for one in running[1:]:
        with pytest.raises(StopIteration) as ended:
            one.send(total)
        assert ended.value.value == fits[0]


def build(columns: dict[str, list[Any]], outcome: list[float]) -> Table:
    schema = Schema(
        columns=tuple(Numeric(name=name, low=-10, high=10) for name in columns), outcome=Outcome(name="y")
    )
    return parse_table(schema, {**columns, "y": outcome}, [str(number) for number in range(len(outcome))])


X = [float(number % 7) for number in range(40)]
Z = [float(number % 5) for number in range(40)]
Y = [float(number % 3 == 0) for number in range(40)]


@pytest.mark.parametrize(
    ("table", "l2", "reason", "word"),
    [
        (build({"x": X}, [1.0] * 40), 1.0, Reason.ONE_CLASS_ONLY, ""),
        (build({"x": X}, [0.0] * 40), 1.0, Reason.ONE_CLASS_ONLY, ""),
        (build({"x": X, "z": [3.0] * 40}, Y), 1.0, Reason.COLUMN_CONSTANT, "z"),
        (build({"x": X, "z": [None] * 40}, Y), 1.0, Reason.COLUMN_CONSTANT, "z"),
        (build({"x": X, "z": [-one for one in X]}, Y), 0.0, Reason.COLUMNS_COLLINEAR, "z"),
        (build({"x": X}, [float(one > 3) for one in X]), 0.0, Reason.NOT_CONVERGED, ""),
        (build({"x": X[:9]}, Y[:9]), 1.0, Reason.TOO_FEW_PATIENTS, ""),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_its_reason(
    table: Table, l2: float, reason: Reason, word: str
) -> None:
    with pytest.raises(Refused) as refused:
        LogisticRegression(l2=l2).fit(Tables([table]))

    assert refused.value.reason is reason
    assert word in refused.value.detail


def test_columns_that_follow_from_others_are_fitted_under_a_penalty() -> None:
    fit = LogisticRegression().fit(Tables([build({"x": X, "z": X}, Y)]))

    assert fit.coef_[0] == pytest.approx(fit.coef_[2])


def test_too_few_rounds_are_a_refusal(make_table: MakeTable) -> None:
    with pytest.raises(Refused) as refused:
        LogisticRegression(rounds_max=3).fit(Tables([make_table()]))

    assert refused.value.reason is Reason.NOT_CONVERGED


def test_an_outcome_of_another_kind_is_refused(make_table: MakeTable) -> None:
    with pytest.raises(Refused) as refused:
        LogisticRegression().fit(Tables([make_table("count")]))

    assert refused.value.reason is Reason.SCHEMA_INVALID


def test_a_category_that_nobody_has_weighs_nothing() -> None:
    schema = Schema(
        columns=(Categorical(name="c", categories=("a", "b", "never"), missing="refuse"),),
        outcome=Outcome(name="y"),
    )
    cells = ["b" if one > 3 else "a" for one in X]
    table = parse_table(schema, {"c": cells, "y": Y}, [str(number) for number in range(40)])

    fit = LogisticRegression().fit(Tables([table]))

    assert fit.coef_[1] == 0
    assert fit.coef_[0] != 0


def test_a_step_too_far_is_halved() -> None:
    counts = [float(number % 4 * 45) for number in range(40)]
    schema = Schema(
        columns=(Numeric(name="x", low=0, high=10),), outcome=Outcome(name="y", kind="count", high=200)
    )
    table = parse_table(schema, {"x": X, "y": counts}, [str(number) for number in range(40)])

    fit = PoissonRegression(l2=0.1).fit(Tables([table]))

    assert fit.predict(table).sum() == pytest.approx(sum(counts))


def test_contributions_add_up_to_the_prediction_and_lie_in_its_interval(make_table: MakeTable) -> None:
    table = make_table()
    model = LogisticRegression().fit(Tables([table])).model_

    for one in model.explain(table):
        predictor = one.offset + sum(one.contributions.values())
        assert one.value == pytest.approx(1 / (1 + np.exp(-predictor)))
        assert 0 < one.low < one.value < one.high < 1
        assert set(one.contributions) == {"age", "dose", "ward"}


def test_settings_are_read_and_changed_by_name() -> None:
    estimator = LogisticRegression(l2=2.0)

    assert estimator.set_params(rounds_max=9).get_params() == {"l2": 2.0, "rounds_max": 9}
    with pytest.raises(Refused):
        estimator.set_params(depth=1)
