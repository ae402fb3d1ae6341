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
from iamata.learning.estimators.newton import COUNT_MAX, LinearFit, Settings, fit_linear
from iamata.learning.estimators.regression import LinearRegression, LogisticRegression, PoissonRegression
from iamata.learning.federations import Tables
from iamata.learning.programmes import Query, Site, Values, add_plainly, decode_sum, encode_share
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Integers, Table, parse_table
from iamata.model.reasons import Reason, Refused

Cut = Callable[[Table, Sequence[int]], list[Table]]
MakeTable = Callable[..., Table]
GAP_MAX = 1e-6
X = [float(number % 7) for number in range(40)]
Z = [float(number % 5) for number in range(40)]
Y = [float(number % 3 == 0) for number in range(40)]
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

    np.testing.assert_allclose(ours.predict(table), twin.predict(fill(table)), rtol=GAP_MAX)
    np.testing.assert_allclose(ours.coef_, twin.coef_, rtol=GAP_MAX)
    assert ours.intercept_ == pytest.approx(twin.intercept_, rel=GAP_MAX)


def draw_site(chance: np.random.Generator, *, rows: int, mean: float, outcome: Outcome) -> Table:
    """Draw a hospital whose outcomes have about this mean, times or plus what a dose adds."""
    dose = chance.normal(size=rows).clip(-4, 4)
    if outcome.kind == "count":
        drawn = chance.poisson(mean * np.exp(0.3 * dose)).astype(float)
    else:
        drawn = mean * (1.0 + 0.2 * dose + 0.1 * chance.normal(size=rows))
    schema = Schema(columns=(Numeric(name="dose", low=-5, high=5, missing="refuse"),), outcome=outcome)
    cells = {"dose": dose.tolist(), outcome.name: drawn.clip(outcome.low, outcome.high).tolist()}
    return parse_table(schema, cells, [f"{mean:g}-{number}" for number in range(rows)])


def draw_sites(sizes: Sequence[int], means: Sequence[float], outcome: Outcome) -> list[Table]:
    chance = np.random.default_rng(4)
    return [
        draw_site(chance, rows=rows, mean=mean, outcome=outcome)
        for rows, mean in zip(sizes, means, strict=True)
    ]


def pool(sites: Sequence[Table]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return all rows at once: doses, standardised, and outcomes."""
    doses = np.concatenate([site.columns["dose"] for site in sites])
    return StandardScaler().fit_transform(doses[:, None]), np.concatenate([one.outcome for one in sites])


@pytest.mark.parametrize(
    ("sizes", "means"),
    [
        ([600, 100, 100, 100], [400, 350, 350, 350]),
        ([40, 40, 40, 40], [3, 3, 3, 2_000]),
        ([300, 30], [20_000, 0.01]),
        ([50, 500], [3e9, 1e9]),
        ([900, 90], [0.02, 0.1]),
    ],
    ids=str,
)
def test_counts_of_any_size_equal_their_twin_whichever_hospital_has_them(
    sizes: list[int], means: list[float]
) -> None:
    sites = draw_sites(sizes, means, Outcome(name="y", kind="count", high=COUNT_MAX))
    design, outcome = pool(sites)
    unit = outcome.mean()  # in which the twin converges, too; that adds its logarithm to the intercept
    twin = PoissonRegressor(alpha=1 / len(outcome) / unit, tol=1e-12, solver="newton-cholesky")
    twin.fit(design, outcome / unit)
    twin.intercept_ += np.log(unit)

    ours = PoissonRegression().fit(Tables(sites))

    assert measure_gap(ours, twin) <= GAP_MAX
    assert ours.n_iter_ <= 12


@pytest.mark.parametrize("mean", [50.0, 1e7, 2.0**33, 3e11, 4e14])
def test_numbers_of_any_size_equal_their_twin(mean: float) -> None:
    sites = draw_sites(
        [300, 40, 60], [mean, mean * 0.7, mean], Outcome(name="y", kind="number", high=2 * mean)
    )
    design, outcome = pool(sites)
    twin = Ridge(alpha=1.0).fit(design, outcome)

    ours = LinearRegression().fit(Tables(sites))

    assert ours.coef_[0] == pytest.approx(twin.coef_[0], rel=GAP_MAX)
    assert ours.intercept_ == pytest.approx(twin.intercept_, rel=GAP_MAX)


@pytest.mark.parametrize("spread", [0.0, 1e-6])
def test_a_number_that_hardly_varies_within_its_bounds_is_refused(spread: float) -> None:
    schema = Schema(
        columns=(Numeric(name="x", low=-10, high=10),), outcome=Outcome(name="y", kind="number")
    )
    cells = {"x": X, "y": [0.7 + spread * one for one in Y]}
    table = parse_table(schema, cells, [str(number) for number in range(40)])

    with pytest.raises(Refused, match="narrow") as refused:
        LinearRegression().fit(Tables([table]))

    assert refused.value.reason is Reason.COLUMN_CONSTANT


def test_sums_beyond_the_scale_are_told_and_the_step_is_halved() -> None:
    outcome = Outcome(name="y", kind="count", high=COUNT_MAX)
    sites = draw_sites([40, 40], [3, 3], outcome)
    for site, dose, count in zip(sites, (5.0, -0.5), (1_000_000, 2), strict=True):
        site.columns["dose"][:] *= 0.1
        site.columns["dose"][0], site.outcome[0] = dose, count  # far from all others
    beyond: list[float] = []

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        total = add_plainly(query, shares)
        if query.name == "curvature":
            beyond.append(float(decode_sum(query, total)["beyond"][0]))
        return total

    fit = PoissonRegression(rounds_max=60).fit(Tables(sites, add))

    design, counts = pool(sites)
    rest = counts - np.exp(fit.intercept_ + design[:, 0] * fit.coef_[0])
    assert beyond[0] == 0 < sum(beyond)
    assert abs(rest.sum()) < 1e-6 * counts.sum()
    assert abs(rest @ design[:, 0] - fit.coef_[0]) < 1e-6 * counts.sum()


def test_a_site_that_is_beyond_the_scale_from_the_start_is_no_part_of_any_model(
    make_table: MakeTable,
) -> None:
    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        total = add_plainly(query, shares)
        if query.name == "curvature":
            total[0] += 1  # as a site would say that lied before
        return total

    with pytest.raises(Refused, match="beyond the scale") as refused:
        PoissonRegression().fit(Tables([make_table("count")], add))

    assert refused.value.reason is Reason.VALUE_OUT_OF_BOUNDS


@pytest.mark.parametrize("columns", ["its own", "one twice"])
def test_a_file_has_variances_to_a_hundredth_and_no_products_of_columns(
    make_table: MakeTable, columns: str
) -> None:
    table = make_table("number", missing=0.0)
    if columns == "one twice":  # where columns say the same, large covariances cancel
        schema = Schema(
            columns=(*table.schema.columns, Numeric(name="again", low=0, high=120)),
            outcome=table.schema.outcome,
        )
        again = table.columns["age"] + 1e-3 * (table.outcome > 50)
        table = Table(schema, {**table.columns, "again": again}, table.outcome, table.patients)
    fit = LinearRegression().fit(Tables([table])).model_.fit
    design = np.column_stack([np.ones(len(table)), fill(table)])
    design = np.nan_to_num(design)
    idle = np.array([0.0, *(float(term.spread == 0) for term in fit.moments.terms)])
    products = design.T @ design + np.diag([0.0, *([1.0] * len(fit.moments.terms))]) + np.diag(idle)
    said = np.array(fit.covariance)

    exact = np.einsum("ij,jk,ik->i", design, np.linalg.inv(products), design)
    ours = np.einsum("ij,jk,ik->i", design, said, design)
    np.testing.assert_allclose(ours, exact, rtol=0.01)
    np.testing.assert_array_equal(said, said.T)
    assert np.linalg.eigvalsh(said).min() > 0
    assert np.abs(np.linalg.inv(said) - products).max() > 0.05


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
