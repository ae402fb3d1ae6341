"""Trees over sums are the same trees wherever the rows lie, and those that scikit-learn grows."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from iamata.learning.estimators.bins import CELLS, NumericBins, choose_bins, encode_table
from iamata.learning.estimators.families import LOGISTIC
from iamata.learning.estimators.growing import is_kept_back
from iamata.learning.estimators.tree import score_trees
from iamata.learning.estimators.trees import GradientBoosting
from iamata.learning.federations import Tables
from iamata.learning.programmes import Site, run
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Table, parse_table
from iamata.model.reasons import Reason, Refused

Cut = Callable[[Table, Sequence[int]], list[Table]]
MakeTable = Callable[..., Table]


def count_nodes(model: GradientBoosting) -> int:
    return sum(len(tree.nodes) for tree in model.model_.boosted.trees)


@pytest.mark.parametrize("sizes", [[500, 400, 300], [1_100, 60, 30, 10]])
def test_many_sites_grow_the_trees_of_one_split_for_split(
    make_table: MakeTable, cut: Cut, sizes: list[int]
) -> None:
    table = make_table(rows=1_200)
    chosen: dict[str, Any] = {"trees_max": 25, "bins_max": 16}

    pooled = GradientBoosting(**chosen).fit(Tables([table]))
    federated = GradientBoosting(**chosen).fit(Tables(cut(table, sizes)))

    assert federated.model_ == pooled.model_
    assert count_nodes(pooled) > 100


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_trees_are_those_of_scikit_learn_on_the_same_bins(make_table: MakeTable, missing: float) -> None:
    table = make_table(rows=2_000, missing=missing)
    ours = GradientBoosting(trees_max=10, bins_max=24, stops_early=False).fit(Tables([table]))
    bins = run(lambda: choose_bins(table.schema, bins_max=24), [Site(table)])
    codes = np.column_stack(encode_table(table, bins)).astype(float)
    for place, column in enumerate(bins):
        codes[codes[:, place] == column.count - 1, place] = np.nan
    twin = HistGradientBoostingClassifier(
        max_iter=10,
        learning_rate=0.1,
        max_depth=4,
        max_leaf_nodes=None,
        l2_regularization=1.0,
        min_samples_leaf=20,
        early_stopping=False,
        categorical_features=[not isinstance(column, NumericBins) for column in bins],
    ).fit(codes, table.outcome)

    np.testing.assert_allclose(ours.predict_proba(table)[:, 1], twin.predict_proba(codes)[:, 1], atol=2e-5)


def test_a_site_with_nobody_changes_nothing(make_table: MakeTable) -> None:
    table = make_table(rows=400)
    nobody = table.select(np.zeros(400, dtype=np.bool_))

    with_nobody = GradientBoosting(trees_max=5).fit(Tables([nobody, table]))

    assert with_nobody.model_ == GradientBoosting(trees_max=5).fit(Tables([table])).model_


def test_boosting_stops_when_those_kept_back_gain_no_more(make_table: MakeTable) -> None:
    table = make_table(rows=2_000)
    kept_back = np.array([is_kept_back(one) for one in table.patients])
    others = table.select(kept_back)
    chosen: dict[str, Any] = {"learning_rate": 0.3, "patience": 5}

    boosted = GradientBoosting(trees_max=300, **chosen).fit(Tables([table])).model_.boosted

    count = len(boosted.trees)
    scores = [score_trees(others, boosted.offset, boosted.trees[:used]) for used in range(count + 1)]
    losses = [LOGISTIC.compute_loss(one, others.outcome).mean() for one in scores]
    assert 0.05 < kept_back.mean() < 0.15
    assert int(np.argmin(losses)) == count > 3
    with_more = GradientBoosting(trees_max=count + 5, **chosen).fit(Tables([table])).model_.boosted
    assert with_more.trees == boosted.trees


def test_of_those_kept_back_a_file_tells_when_trees_helped_no_more_and_nothing_else(
    make_table: MakeTable,
) -> None:
    table = make_table(rows=600)
    kept_back = np.array([is_kept_back(one) for one in table.patients])
    turned = Table(
        table.schema, table.columns, np.where(kept_back, 1 - table.outcome, table.outcome), table.patients
    )

    boosted, other = (
        GradientBoosting(trees_max=5, patience=5).fit(Tables([one])).model_.boosted
        for one in (table, turned)
    )

    assert set(msgspec.to_builtins(boosted)) == {"offset", "unlearned", "trees", "rounds"}
    assert (len(boosted.trees), len(other.trees)) == (5, 0)
    assert (other.offset, other.unlearned) == (boosted.offset, boosted.unlearned)


def test_no_leaf_is_about_fewer_patients_than_the_study_allows(make_table: MakeTable) -> None:
    table = make_table(rows=800)
    boosted = (
        GradientBoosting(trees_max=10, patients_min=50, stops_early=False)
        .fit(Tables([table]))
        .model_.boosted
    )

    for tree in boosted.trees:
        leaves = tree.find_nodes(table)
        assert np.unique(leaves, return_counts=True)[1].min() >= 50


def test_a_leaf_is_about_patients_however_many_rows_one_of_them_has() -> None:
    x = [99.0] * 100 + [float(number % 50) for number in range(300)]
    y = [1.0] * 100 + [float(number % 7 == 0) for number in range(300)]
    table = build({"x": x, "c": ["a"] * 400}, y)
    patients = (*["0"] * 60, *["1"] * 40, *table.patients[100:])
    table = Table(table.schema, table.columns, table.outcome, patients)

    fitted = GradientBoosting(trees_max=20, patients_min=10, stops_early=False).fit(Tables([table]))

    for tree in fitted.model_.boosted.trees:
        leaves = tree.find_nodes(table)
        assert min(len(set(np.array(patients)[leaves == one])) for one in leaves) >= 10
    assert count_nodes(fitted) > 20


def test_bins_are_about_equally_full_and_know_what_is_missing(make_table: MakeTable) -> None:
    table = make_table(rows=2_000)
    bins = run(lambda: choose_bins(table.schema, bins_max=8), [Site(table)])
    codes = encode_table(table, bins)

    for name, column, found in zip(("age", "dose"), bins, codes, strict=False):
        counts = np.bincount(found, minlength=column.count)
        assert counts[-1] == np.isnan(table.columns[name]).sum()
        assert 6 <= len(counts) - 1 <= 8
        assert counts[:-1].max() < 1.8 * counts[:-1].mean()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32), rows=st.integers(1, 400), spread=st.sampled_from([0.01, 1.0, 20.0, 300.0])
)
def test_ten_patients_lie_next_to_a_cut_on_either_side(seed: int, rows: int, spread: float) -> None:
    chance = np.random.default_rng(seed)
    x = np.where(chance.random(rows) < 0.1, np.nan, chance.normal(30, spread, rows).clip(0, 100))
    table = build({"x": x.tolist(), "c": ["a"] * rows}, [0.0] * rows)
    patients = np.array([str(one) for one in chance.integers(0, max(1, rows // 2), rows)])
    table = Table(table.schema, table.columns, table.outcome, tuple(patients.tolist()))

    numeric, _ = run(lambda: choose_bins(table.schema, bins_max=32), [Site(table)])

    assert isinstance(numeric, NumericBins)
    assert len(numeric.cuts) < 32
    for cut in numeric.cuts:
        place = round(cut / 100 * CELLS)
        reach = (place & -place) / CELLS * 100  # to where the bounds were halved before
        sides = (x >= cut - reach) & (x <= cut), (x > cut) & (x <= cut + reach)
        assert min(len(set(patients[side])) for side in sides) >= 10


def test_every_value_that_many_have_is_a_bin_and_what_few_have_joins_a_neighbour() -> None:
    counts = {0: 200, 1: 90, 2: 40, 3: 12, 4: 6, 5: 3, 40: 1, 90: 1}
    x = [float(value) for value, count in counts.items() for _ in range(count)]
    table = build({"x": x, "c": ["a"] * len(x)}, [0.0] * len(x))

    numeric, _ = run(lambda: choose_bins(table.schema, bins_max=32), [Site(table)])

    assert np.bincount(numeric.encode(table.columns["x"])).tolist() == [200, 90, 40, 23]


def test_a_category_that_few_have_goes_where_those_go_whom_nobody_knows() -> None:
    c = ["a"] * 200 + ["b"] * 100 + ["c"] * 30 + ["d"] * 9
    y = [float(number % 4 == 0) for number in range(200)] + [float(number % 4 > 0) for number in range(130)]

    for outcome in (0.0, 1.0):
        table = build({"x": [1.0] * len(c), "c": c}, [*y, *[outcome] * 9])
        boosted = GradientBoosting(trees_max=5, stops_early=False).fit(Tables([table])).model_.boosted
        splits = [node.split for tree in boosted.trees for node in tree.nodes if node.split]

        assert len(splits) >= 5
        assert not any("d" in split.categories for split in splits)


def build(cells: dict[str, list[Any]], outcome: list[float]) -> Table:
    schema = Schema(
        columns=(
            Numeric(name="x", low=0, high=100),
            Categorical(name="c", categories=tuple("abcd")),
        ),
        outcome=Outcome(name="y"),
    )
    return parse_table(schema, {**cells, "y": outcome}, [str(number) for number in range(len(outcome))])


def test_a_missing_value_goes_where_it_helps() -> None:
    x = [None if number % 3 == 0 else float(number % 50) for number in range(300)]
    y = [float(one is None or one > 40) for one in x]
    ours = GradientBoosting(trees_max=40, learning_rate=0.5, stops_early=False, patients_min=10)

    fitted = ours.fit(Tables([build({"x": x, "c": ["a"] * 300}, y)]))

    assert (fitted.predict(build({"x": x, "c": ["a"] * 300}, y)) == y).all()


def test_categories_split_into_any_two_sets() -> None:
    c = ["abcd"[number % 4] for number in range(400)]
    y = [float(one in "bd") for one in c]

    fitted = GradientBoosting(trees_max=1, depth_max=1, stops_early=False).fit(
        Tables([build({"x": [1.0] * 400, "c": c}, y)])
    )

    split = fitted.model_.boosted.trees[0].nodes[0].split
    assert split is not None
    assert set(split.categories) in ({"a", "c"}, {"b", "d"})


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [([1.0] * 40, Reason.ONE_CLASS_ONLY), ([0.0, 1.0, 1.0, 0.0], Reason.TOO_FEW_PATIENTS)],
)
def test_what_cannot_be_learned_from_is_refused(outcome: list[float], reason: Reason) -> None:
    rows = len(outcome)
    table = build({"x": [float(number) for number in range(rows)], "c": ["a"] * rows}, outcome)

    with pytest.raises(Refused) as refused:
        GradientBoosting(stops_early=False).fit(Tables([table]))

    assert refused.value.reason is reason


def test_columns_that_say_nothing_give_no_tree() -> None:
    table = build({"x": [1.0] * 40, "c": ["a"] * 40}, [0.0, 1.0] * 20)

    fitted = GradientBoosting(stops_early=False).fit(Tables([table]))

    assert fitted.model_.boosted.trees == ()
    assert fitted.predict_proba(table)[0].tolist() == [0.5, 0.5]
