"""Cells fit a model's scores: however far out or close together these lie, their order is kept."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from iamata.learning.estimators.bayes import NaiveBayes
from iamata.learning.estimators.families import expit
from iamata.learning.estimators.regression import LogisticRegression
from iamata.learning.estimators.trees import GradientBoosting
from iamata.learning.evaluation.cells import divide_steps, find_cells, find_steps, list_edges
from iamata.learning.evaluation.evaluating import Evaluation, Plan, evaluate
from iamata.learning.federations import Tables
from iamata.learning.schemas import Numeric, Outcome, Schema
from iamata.learning.tables import Floats, Table, parse_table

ROWS = 1_000
LABS = 30
LOG_ODDS = st.floats(-740, 36)
Score = Callable[[Table], Floats]


def draw(seed: int) -> Table:
    """Draw patients with thirty values that all say nearly the same."""
    chance = np.random.default_rng(seed)
    hidden = chance.normal(size=ROWS)
    is_ill = chance.random(ROWS) < expit(2 * hidden - 1)
    labs = hidden[:, None] + 0.4 * chance.normal(size=(ROWS, LABS))
    columns = [Numeric(name=f"lab{number}", low=-8, high=8, outside="clip") for number in range(LABS)]
    cells = {column.name: labs[:, number].tolist() for number, column in enumerate(columns)}
    schema = Schema(columns=tuple(columns), outcome=Outcome(name="ill"))
    return parse_table(
        schema, {**cells, "ill": is_ill.tolist()}, [f"p{seed}-{number}" for number in range(ROWS)]
    )


@pytest.fixture(scope="module")
def training() -> Tables:
    return Tables([draw(5)])


@pytest.fixture(scope="module")
def table() -> Table:
    return draw(6)


def judge(predict: Score, table: Table, plan: Plan) -> Evaluation:
    """Evaluate at three sites."""
    sites = [table.select(np.arange(len(table)) % 3 == number) for number in range(3)]
    return Tables(sites).run(lambda: evaluate(predict, "model", plan))


def check(predict: Score, table: Table) -> Evaluation:
    """Hold areas against scikit-learn's of all rows."""
    found, score = judge(predict, table, Plan()), predict(table)
    for area, true in (
        (found.auroc, roc_auc_score(table.outcome, score)),
        (found.auprc, average_precision_score(table.outcome, score)),
    ):
        assert area.value == pytest.approx(true, abs=min(0.005, area.resolution + 1e-12))
        assert area.low <= true <= area.high
        assert area.resolution < 0.005
    return found


def test_areas_are_right_where_correlated_columns_make_a_model_too_sure(
    training: Tables, table: Table
) -> None:
    predict = NaiveBayes().fit(training).model_.predict

    check(predict, table)

    assert (np.abs(predict(table) - 0.5) > 0.5 - 1e-6).mean() > 0.5  # beyond 1 in a million


def test_areas_are_right_where_trees_have_hardly_begun_to_learn(training: Tables, table: Table) -> None:
    trees = GradientBoosting(learning_rate=0.001, trees_max=5, stops_early=False).fit(training)

    check(trees.model_.predict, table)

    assert np.ptp(trees.model_.predict(table)) < 0.01


def test_rows_that_a_small_tree_scores_alike_leave_nothing_open(training: Tables, table: Table) -> None:
    trees = GradientBoosting(trees_max=1, depth_max=2, stops_early=False).fit(training)

    found = check(trees.model_.predict, table)

    assert len(np.unique(trees.model_.predict(table))) <= 4
    assert (found.auroc.resolution, found.auprc.resolution) == (0.0, 0.0)


@pytest.mark.parametrize("l2", [1.0, 1e6])
def test_areas_are_right_for_a_regression_however_much_it_is_shrunken(
    training: Tables, table: Table, l2: float
) -> None:
    found = check(LogisticRegression(l2=l2).fit(training).model_.predict, table)

    assert found.auroc.resolution < 3e-4
    assert found.auroc.high - found.auroc.low < 0.05


@pytest.mark.parametrize("low", [-700.0, -30.0, 15.0])
def test_areas_are_right_where_all_scores_lie_far_out(table: Table, low: float) -> None:
    check(lambda rows: expit(low + rows.columns["lab0"]), table)


def test_one_score_for_everybody_ranks_nobody(table: Table) -> None:
    found = judge(lambda rows: np.full(len(rows), 0.2), table, Plan())

    assert (found.auroc.value, found.auroc.low, found.auroc.high) == (0.5, 0.5, 0.5)
    assert found.auprc.value == pytest.approx(found.rate)
    assert (found.auroc.resolution, found.auprc.resolution) == (0.0, 0.0)


def test_a_perfect_score_is_told_to_be_one(table: Table) -> None:
    found = judge(lambda rows: 0.3 + 1e-6 * rows.outcome, table, Plan())

    for area in (found.auroc, found.auprc):
        assert (area.value, area.low, area.high, area.resolution) == (1.0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize("cells", [2, 8])
def test_an_interval_has_room_for_what_few_cells_leave_open(table: Table, cells: int) -> None:
    def predict(rows: Table) -> Floats:
        return expit(2 * rows.columns["lab0"] - 1)

    fine, coarse = judge(predict, table, Plan()), judge(predict, table, Plan(cells=cells))

    for true, area in ((fine.auroc, coarse.auroc), (fine.auprc, coarse.auprc)):
        assert area.resolution > 0.02
        assert area.low <= true.value <= area.high
        assert area.high - area.low > 1.5 * area.resolution


def test_accuracy_counts_what_a_model_says(training: Tables, table: Table) -> None:
    model = LogisticRegression().fit(training)
    half = [0.5] * ROWS
    model.model_ = type("Undecided", (), {"predict": lambda _self, _rows: np.array(half)})()

    found = judge(lambda rows: np.full(len(rows), 0.5), table, Plan(thresholds=()))

    assert (model.predict(table) == table.outcome).mean() == found.accuracy


@given(st.lists(LOG_ODDS, min_size=1, max_size=60), st.integers(2, 64))
def test_cells_keep_the_order_of_scores_and_end_where_they_say(odds: list[float], steps: int) -> None:
    probability = expit(np.sort(np.array(odds)))
    place = find_steps(probability, steps)
    rows = np.bincount(np.floor(place).astype(int), minlength=steps).astype(float)

    widths = divide_steps(rows, rows, patients_min=10)
    cells, _ = find_cells(place, widths)

    assert cells.tolist() == sorted(cells.tolist())
    assert 0 <= cells.min() <= cells.max() < widths.sum() <= steps
    edges = np.concatenate([[-np.inf], list_edges(widths)])
    log_odds = np.log(probability) - np.log1p(-probability)
    slack = 1e-6 * np.maximum(1.0, np.abs(log_odds))
    assert (log_odds <= edges[cells + 1] + slack).all()
    assert (log_odds >= edges[cells] - slack).all()


def test_no_step_of_few_patients_is_cut() -> None:
    rows = np.array([0.0, 1.0, 9.0, 10.0, 40.0, 50.0, *[0.0] * 94])
    patients = np.array([0.0, 1.0, 9.0, 10.0, 9.0, 50.0, *[0.0] * 94])

    widths = divide_steps(rows, patients, patients_min=10)

    assert widths[:6].tolist() == [0, 1, 1, 1 + 95 * 10 // 60, 1, 1 + 95 * 50 // 60]
    assert not widths[6:].any()
