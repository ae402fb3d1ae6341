"""Errors from sums are those that scikit-learn finds in all rows, and no small part is shown."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    mean_absolute_error,
    mean_poisson_deviance,
    r2_score,
    root_mean_squared_error,
)

from iamata.learning.estimators.regression import LinearRegression, PoissonRegression
from iamata.learning.evaluation.evaluating import Plan
from iamata.learning.evaluation.numbers import Errors, NumberEvaluation, evaluate_numbers
from iamata.learning.evaluation.subgroups import ByBand, Group, list_bands, list_by_category, list_sites
from iamata.learning.federations import Tables
from iamata.learning.schemas import NUMBER_MAX, Numeric, Outcome, Schema
from iamata.learning.tables import Floats, Table
from iamata.model.reasons import Reason, Refused

Cut = Callable[[Table, Sequence[int]], list[Table]]
MakeTable = Callable[..., Table]
Predict = Callable[[Table], Floats]
KINDS: dict[str, type[LinearRegression | PoissonRegression]] = {
    "number": LinearRegression,
    "count": PoissonRegression,
}
NEAR = 1e-6


def judge(tables: list[Table], predict: Predict, plan: Plan | None = None) -> NumberEvaluation:
    outcome = tables[0].schema.outcome
    return Tables(tables).run(lambda: evaluate_numbers(predict, "model", outcome, plan or Plan()))


def refuse(tables: list[Table], predict: Predict) -> Reason:
    with pytest.raises(Refused) as refused:
        judge(tables, predict)
    return refused.value.reason


def fit(make_table: MakeTable, kind: str) -> Predict:
    return KINDS[kind]().fit(Tables([make_table(kind)])).predict


def hold_against_scikit_learn(found: Errors, observed: Floats, expected: Floats) -> None:
    error = expected - observed
    assert found.rows == len(observed)
    assert found.mean == pytest.approx(observed.mean(), abs=NEAR)
    assert found.mean_error.value == pytest.approx(error.mean(), abs=NEAR)
    reach = 1.959964 * error.std(ddof=1) / np.sqrt(len(error))
    assert found.mean_error.high - found.mean_error.value == pytest.approx(reach, abs=NEAR)
    assert found.absolute_error == pytest.approx(mean_absolute_error(observed, expected), abs=NEAR)
    squared = root_mean_squared_error(observed, expected)
    assert found.root_mean_square_error == pytest.approx(squared, abs=NEAR)
    assert found.explained == pytest.approx(r2_score(observed, expected), abs=NEAR)
    assert found.mean_error.resolution < NEAR


def make_unlike(outcomes: Sequence[float], *, kind: str = "number", high: float = 100.0) -> Table:
    """Make a table of a column that numbers the rows."""
    count = len(outcomes)
    schema = Schema(
        columns=(Numeric(name="place", low=0, high=1e6),),
        outcome=Outcome(name="y", kind=kind, low=0.0, high=high),  # type: ignore[arg-type]
    )
    names = tuple(f"p{number}" for number in range(count))
    return Table(schema, {"place": np.arange(count, dtype=float)}, np.array(outcomes, dtype=float), names)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [[300], [120, 100, 80]])
def test_errors_over_sites_are_those_of_all_rows(
    make_table: MakeTable, cut: Cut, kind: str, sizes: list[int]
) -> None:
    predict, table = fit(make_table, kind), make_table(kind, seed=2)
    expected = predict(table)

    found = judge(cut(table, sizes), predict)

    assert found == judge([table], predict)
    hold_against_scikit_learn(found.errors, table.outcome, expected)
    if kind == "count":
        deviance = mean_poisson_deviance(table.outcome, expected)
        assert found.errors.deviance == pytest.approx(deviance, abs=NEAR)
    else:
        assert found.errors.deviance is None


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_judged_by_themselves(make_table: MakeTable, cut: Cut, kind: str) -> None:
    predict, table = fit(make_table, kind), make_table(kind, seed=2)
    sites = cut(table, [180, 120])
    groups: tuple[Group, ...] = (
        *list_by_category(table.schema, "ward"),
        *list_bands("age", (20, 50, 90.1)),
        *list_sites(2),
    )

    found = judge(sites, predict, Plan(groups=groups)).groups

    assert [one.label for one in found][-3:] == ["50 ≤ age < 90.1", "site 1", "site 2"]
    ward_a = table.select(table.columns["ward"] == 0)
    for group, part in ((found[0], ward_a), (found[-1], sites[1])):
        assert group.errors is not None
        hold_against_scikit_learn(group.errors, part.outcome, predict(part))


@pytest.mark.parametrize("kind", KINDS)
def test_bins_of_forecasts_hold_means_against_each_other(make_table: MakeTable, kind: str) -> None:
    predict, table = fit(make_table, kind), make_table(kind, seed=2)
    expected = predict(table)

    bins = judge([table], predict).calibration

    assert 5 <= len(bins) <= 10
    assert sum(one.rows for one in bins) == 300
    edges = [table.schema.outcome.low, *(one.up_to for one in bins)]
    for (low, high), one in zip(pairwise(edges), bins, strict=True):
        inside = (expected >= low) & (expected < high)
        assert one.rows == inside.sum() >= 10
        assert one.expected == pytest.approx(expected[inside].mean(), abs=NEAR)
        assert one.observed.value == pytest.approx(table.outcome[inside].mean(), abs=NEAR)
        assert one.observed.low < one.observed.value < one.observed.high
    assert sum(one.observed.low <= one.expected <= one.observed.high for one in bins) >= len(bins) - 2


def test_a_group_of_few_is_named_and_nothing_more(make_table: MakeTable, cut: Cut) -> None:
    predict = fit(make_table, "count")
    few = ByBand(column="age", low=20, high=21)
    sites = cut(make_table("count"), [170, 121, 9])

    found = judge(sites, predict, Plan(groups=(few, *list_sites(3)))).groups

    assert found[0].label == "20 ≤ age < 21"
    assert [one.errors is None for one in found] == [True, False, True, True]  # or the third would follow


def test_a_count_that_hardly_anybody_has_is_not_told_of_a_group() -> None:
    table = make_unlike([1.0] * 9 + [0.0] * 41 + [2.0, 0.0] * 25, kind="count")
    groups = (ByBand(column="place", low=0, high=50),)

    found = judge([table], lambda one: np.full(len(one), 0.5), Plan(groups=groups))

    assert found.groups[0].errors is None
    assert found.errors.rows == 100


@given(
    arrays(np.float64, st.integers(20, 80), elements=st.sampled_from([0.0, 0.0, 1.0, 2.0, 50.0])),
    st.integers(1, 20),
)
def test_no_bin_of_forecasts_has_few_rows_or_few_to_whom_anything_happened(
    outcomes: Floats, bins: int
) -> None:
    table = make_unlike(outcomes.tolist(), kind="count")

    def forecast(one: Table) -> Floats:
        return one.columns["place"] / 2

    try:
        found = judge([table], forecast, Plan(calibration_groups=bins)).calibration
    except Refused as refused:
        assert refused.reason in (Reason.TOO_FEW_PATIENTS, Reason.ONE_CLASS_ONLY)
        return
    starts = np.cumsum([0, *(one.rows for one in found)])  # forecasts rise from row to row
    above = [(outcomes[start:end] > 0).sum() for start, end in pairwise(starts.tolist())]
    assert starts[-1] == len(outcomes)
    assert min(above) >= 10


def test_few_rows_are_refused(make_table: MakeTable) -> None:
    few = make_table("number").select(np.arange(300) < 9)

    assert refuse([few], lambda one: one.outcome) is Reason.TOO_FEW_PATIENTS
    rare = make_unlike([1.0] * 9 + [0.0] * 91, kind="count")
    assert refuse([rare], lambda one: one.outcome) is Reason.TOO_FEW_PATIENTS


@pytest.mark.parametrize(("patients", "bins"), [(9, None), (10, 1), (40, 4)])
def test_patients_are_counted_and_not_their_rows(patients: int, bins: int | None) -> None:
    """Above 0 are every second row's, so many patients' in all; 0 is another's each."""
    table = make_unlike([float(number % 2 * (1 + number % 7)) for number in range(160)], kind="count")
    names = tuple(f"ill{one % (2 * patients)}" if one % 2 else f"p{one}" for one in range(160))
    table = replace(table, patients=names)

    if bins is None:
        assert refuse([table], get_place) is Reason.TOO_FEW_PATIENTS
    else:
        assert len(judge([table], get_place).calibration) == bins


def get_place(table: Table) -> Floats:
    return table.columns["place"] / 16 + 0.5


def test_an_outcome_that_is_the_same_for_all_is_refused() -> None:
    assert refuse([make_unlike([0.1] * 50)], lambda one: one.outcome + 1) is Reason.ONE_CLASS_ONLY


def test_how_much_is_explained_is_not_told_where_the_outcome_hardly_varies_within_its_bounds() -> None:
    hardly, some = ([50.0, 50.0 + step] * 50 for step in (0.001, 0.1))

    flat, varied = (
        judge([make_unlike(one)], lambda one: one.outcome + 1.0).errors for one in (hardly, some)
    )

    assert flat.explained is None
    assert flat.mean_error.value == pytest.approx(1.0, abs=flat.mean_error.resolution)
    assert varied.explained == pytest.approx(r2_score(some, np.array(some) + 1.0), rel=NEAR)


def test_forecasts_count_as_the_bound_where_they_lie_beyond_it() -> None:
    table = make_unlike([0.0, 100.0] * 30)

    found = judge([table], lambda one: one.outcome * 3.0 - 100.0)

    assert found.errors.mean_error.value == found.errors.root_mean_square_error == 0.0
    assert found.errors.explained == 1.0


@pytest.mark.parametrize("forecast", [0.0, 1e300])
def test_no_forecast_is_too_wrong_for_the_scale(forecast: float) -> None:
    outcomes = np.tile([0.0, NUMBER_MAX], 500)
    table = make_unlike(outcomes.tolist(), kind="count", high=NUMBER_MAX)

    found = judge([table, replace(table)], lambda one: np.full(len(one), forecast))

    expected = np.full(1000, min(max(forecast, 1e-9), NUMBER_MAX))
    assert found.errors.deviance == pytest.approx(mean_poisson_deviance(outcomes, expected), rel=NEAR)
