"""An evaluation from sums says what scikit-learn says of all rows, and shows no small part."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from iamata.learning.estimators.regression import LogisticRegression
from iamata.learning.evaluation.curves import compute_auprc, compute_auroc, estimate_rate
from iamata.learning.evaluation.evaluating import Evaluation, Plan, evaluate
from iamata.learning.evaluation.subgroups import (
    ByBand,
    Group,
    choose_shown,
    list_bands,
    list_by_category,
    list_sites,
)
from iamata.learning.federations import Tables
from iamata.learning.tables import Table
from iamata.learning.worth import NOT_SHOWN, write_worth
from iamata.model.reasons import Reason, Refused

Cut = Callable[[Table, Sequence[int]], list[Table]]
MakeTable = Callable[..., Table]
COUNTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30)


def judge(tables: list[Table], plan: Plan, model: LogisticRegression) -> Evaluation:
    return Tables(tables).run(lambda: evaluate(model.model_.predict, "model", plan))


@pytest.fixture(scope="module")
def model(make_table: MakeTable) -> LogisticRegression:
    return LogisticRegression().fit(Tables([make_table()]))


@given(COUNTS.filter(lambda cells: all(sum(side) > 0 for side in zip(*cells, strict=True))))
def test_the_areas_are_those_of_all_rows(cells: list[tuple[int, int]]) -> None:
    yes, no = (np.array(side, dtype=float) for side in zip(*cells, strict=True))
    outcome = [
        label for pair in cells for label, count in zip((1, 0), pair, strict=True) for _ in range(count)
    ]
    score = [place for place, pair in enumerate(cells) for _ in range(sum(pair))]

    area, precision = compute_auroc(yes, no), compute_auprc(yes, no)

    assert area.value == pytest.approx(roc_auc_score(outcome, score))
    assert precision.value == pytest.approx(average_precision_score(outcome, score))
    assert area.low <= area.value <= area.high


@given(COUNTS.filter(lambda cells: all(sum(side) > 0 for side in zip(*cells, strict=True))))
def test_finer_cells_move_an_area_by_no_more_than_its_resolution(cells: list[tuple[int, int]]) -> None:
    fine = [np.array(side, dtype=float) for side in zip(*cells, strict=True)]
    coarse = [np.array([part.sum() for part in np.array_split(side, 4)]) for side in fine]

    for compute in (compute_auroc, compute_auprc):
        exact, blurred = compute(*fine), compute(*coarse)
        assert abs(exact.value - blurred.value) <= blurred.resolution + exact.resolution + 1e-12


def test_an_evaluation_over_sites_is_that_of_all_rows(
    make_table: MakeTable, cut: Cut, model: LogisticRegression
) -> None:
    table = make_table(seed=2, rows=900)
    score = model.predict_proba(table)[:, 1]

    found = judge(cut(table, [500, 300, 100]), Plan(), model)

    assert found == judge([table], Plan(), model)
    assert found.auroc.value == pytest.approx(
        roc_auc_score(table.outcome, score), abs=found.auroc.resolution
    )
    assert found.auprc.value == pytest.approx(
        average_precision_score(table.outcome, score), abs=found.auprc.resolution
    )
    assert max(found.auroc.resolution, found.auprc.resolution) < 0.005
    assert found.brier == pytest.approx(brier_score_loss(table.outcome, score), abs=1e-7)
    assert found.accuracy == (model.predict(table) == table.outcome).mean()
    assert (found.rows, found.rate) == (900, table.outcome.mean())


def test_thresholds_count_exactly(make_table: MakeTable, model: LogisticRegression) -> None:
    table = make_table(seed=2, rows=900)
    said = model.predict_proba(table)[:, 1] >= 0.4
    is_yes = table.outcome == 1

    (found,) = judge([table], Plan(thresholds=(0.4,)), model).thresholds

    assert found.sensitivity == said[is_yes].mean()
    assert found.specificity == pytest.approx((~said)[~is_yes].mean())
    assert found.positive_predictive_value == is_yes[said].mean()
    assert found.negative_predictive_value == pytest.approx((~is_yes)[~said].mean())
    assert found.accuracy == (said == is_yes).mean()


def test_a_calibration_curve_covers_everybody_in_groups_that_may_be_shown(
    make_table: MakeTable, model: LogisticRegression
) -> None:
    table = make_table(seed=2, rows=900)

    curve = judge([table], Plan(), model).calibration

    assert sum(one.rows for one in curve) == 900
    assert sum(one.rows * one.observed.value for one in curve) == pytest.approx(table.outcome.sum())
    assert [one.expected for one in curve] == sorted(one.expected for one in curve)
    assert min(one.rows for one in curve) >= 10
    assert sum(one.observed.low <= one.expected <= one.observed.high for one in curve) >= 7


def test_groups_are_judged_by_themselves(
    make_table: MakeTable, cut: Cut, model: LogisticRegression
) -> None:
    table = make_table(seed=2, rows=900)
    sites = cut(table, [600, 300])
    groups: tuple[Group, ...] = (
        *list_by_category(table.schema, "ward"),
        *list_bands("age", (20, 50, 90.1)),
        *list_sites(2),
    )

    found = judge(sites, Plan(groups=groups), model).groups

    assert [one.label for one in found][-3:] == ["50 ≤ age < 90.1", "site 1", "site 2"]
    assert found[0].auroc is not None
    assert found[-1].auroc is not None
    ward_a = table.columns["ward"] == 0
    score = model.predict_proba(table)[:, 1]
    assert found[0].auroc.value == pytest.approx(
        roc_auc_score(table.outcome[ward_a], score[ward_a]), abs=2e-3
    )
    assert found[-1].rows == 300
    assert found[-1].brier == pytest.approx(
        brier_score_loss(sites[1].outcome, model.predict_proba(sites[1])[:, 1]), abs=1e-7
    )


def test_a_group_of_few_is_named_and_nothing_more(make_table: MakeTable, model: LogisticRegression) -> None:
    group = ByBand(column="age", low=20, high=21)

    evaluation = judge([make_table()], Plan(groups=(group,)), model)

    (found,) = evaluation.groups
    assert found.label == "20 ≤ age < 21"
    assert {found.rows, found.rate, found.auroc, found.brier, found.expected_rate, found.accuracy} == {None}
    assert list(write_worth(evaluation))[-1] == f"| 20 ≤ age < 21 | {NOT_SHOWN} | | |"


def test_no_two_cuts_of_the_scores_differ_by_few_of_either_class(
    make_table: MakeTable, model: LogisticRegression
) -> None:
    table = make_table(rows=900)
    yes, no = table.outcome.sum(), (1 - table.outcome).sum()
    dense = tuple(number / 1000 for number in range(450, 550))

    found = judge([table], Plan(thresholds=dense), model)

    roc = [(one.true_positive_rate * yes, one.false_positive_rate * no) for one in found.roc]
    shown = [one for one in found.thresholds if one.sensitivity is not None and one.specificity is not None]
    at = [((one.sensitivity or 0) * yes, (1 - (one.specificity or 0)) * no) for one in shown]
    edges = np.cumsum(
        [(one.observed.value * one.rows, one.rows) for one in found.calibration[::-1]], axis=0
    )
    steps = sorted({(round(true), round(false)) for true, false in [*roc, *at]})
    steps = sorted({*steps, *((round(true), round(rows - true)) for true, rows in edges)})
    assert (steps[0], steps[-1]) == ((0, 0), (yes, no))
    assert len(steps) > 5
    assert 0 < len(shown) < 30
    assert np.diff(np.array(steps), axis=0).min() >= 10


def test_what_is_left_of_a_column_is_never_few(make_table: MakeTable, model: LogisticRegression) -> None:
    (found,) = judge([make_table()], Plan(groups=list_bands_of_age(88.5)), model).groups

    assert (found.label, found.rows, found.auroc) == ("20 ≤ age < 88.5", None, None)


def list_bands_of_age(*limits: float) -> tuple[ByBand, ...]:
    return tuple(list_bands("age", (20, *limits)))


def test_a_hidden_site_does_not_follow_from_the_others(
    make_table: MakeTable, cut: Cut, model: LogisticRegression
) -> None:
    sites = cut(make_table(), [150, 137, 13])

    found = judge(sites, Plan(groups=tuple(list_sites(3))), model).groups

    assert sum(one.rows is not None for one in found) == 1
    assert found[2].rows is None


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6), st.data())
def test_no_groups_leave_a_part_of_few(counts: list[tuple[int, int]], data: st.DataObject) -> None:
    named = data.draw(st.integers(1, len(counts)))  # what is not named is what is left
    groups = list(list_bands("age", range(named + 1)))
    yes, no = (np.array([sum(side), *side[:named]], dtype=float) for side in zip(*counts, strict=True))

    shown = sorted(choose_shown(groups, yes + no, (yes, no), patients_min=10))

    left = [float(side[0] - side[shown].sum()) for side in (yes, no)]
    assert all(min(yes[place], no[place]) >= 10 for place in shown)
    assert left == [0, 0] or min(left) >= 10 or not shown


def test_a_threshold_that_would_show_few_shows_nothing(
    make_table: MakeTable, model: LogisticRegression
) -> None:
    (found,) = judge([make_table()], Plan(thresholds=(0.97,)), model).thresholds

    assert found.sensitivity is None
    assert found.accuracy is None


@pytest.mark.parametrize("chosen", [0.0, 1.0])
def test_rows_of_one_class_are_refused(
    make_table: MakeTable, model: LogisticRegression, chosen: float
) -> None:
    table = make_table()

    with pytest.raises(Refused) as refused:
        judge([table.select(table.outcome == chosen)], Plan(), model)

    assert refused.value.reason is Reason.ONE_CLASS_ONLY


def give(table: Table, *, rows: int) -> Table:
    """Give each patient so many rows, which lie far apart in the table."""
    patients = len(table) // rows
    return replace(table, patients=tuple(f"p{number % patients}" for number in range(len(table))))


def test_between_two_cuts_of_the_scores_lie_rows_of_ten_patients(
    make_table: MakeTable, model: LogisticRegression
) -> None:
    table = give(make_table(rows=900), rows=10)
    order = np.argsort(-model.predict_proba(table)[:, 1], kind="stable")
    patients = np.array(table.patients)[order]

    roc = judge([table], Plan(thresholds=()), model).roc

    is_yes = table.outcome[order] == 1
    for side, rates in (
        (is_yes, [one.true_positive_rate for one in roc]),
        (~is_yes, [one.false_positive_rate for one in roc]),
    ):
        cuts = [round(rate * side.sum()) for rate in rates]
        between = [len(np.unique(patients[side][low:high])) for low, high in pairwise(cuts)]
        assert 2 < len(between) < 20
        assert min(between) >= 10


@pytest.mark.parametrize("patients", [9, 10])
def test_an_outcome_that_few_patients_have_in_many_rows_is_refused(
    make_table: MakeTable, model: LogisticRegression, patients: int
) -> None:
    table = make_table()
    yes = np.flatnonzero(table.outcome == 1)
    names = list(table.patients)
    for number, place in enumerate(yes.tolist()):
        names[place] = f"ill{number % patients}"
    few = replace(table, patients=tuple(names))

    if patients < 10:
        with pytest.raises(Refused) as refused:
            judge([few], Plan(), model)
        assert refused.value.reason is Reason.TOO_FEW_PATIENTS
    else:
        found = judge([few], Plan(), model)
        assert (found.rows, len(found.calibration)) == (300, 1)


def test_a_group_of_one_patient_with_many_rows_is_named_and_nothing_more(
    make_table: MakeTable, model: LogisticRegression
) -> None:
    table, groups = make_table(), list_bands_of_age(40, 90.1)
    young = table.columns["age"] < 40
    names = ["one" if is_young else one for one, is_young in zip(table.patients, young, strict=True)]

    each = judge([table], Plan(groups=groups), model).groups
    found = judge([replace(table, patients=tuple(names))], Plan(groups=groups), model).groups

    assert [one.rows for one in each] == [young.sum(), (~young).sum()]
    assert [one.rows for one in found] == [None, None]


def test_a_rate_has_wilsons_interval() -> None:
    found = estimate_rate(10, 50)  # Wilson's for 10 of 50, to four places

    assert (found.value, round(found.low, 4), round(found.high, 4)) == (0.2, 0.1124, 0.3304)
