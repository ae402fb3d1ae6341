"""Naive Bayes over sums equals scikit-learn's on all rows at once."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from sklearn.naive_bayes import CategoricalNB, GaussianNB

from iamata.learning.estimators.bayes import NaiveBayes
from iamata.learning.federations import Tables
from iamata.learning.schemas import Numeric, Outcome, Schema
from iamata.learning.tables import Table, parse_table
from iamata.model.reasons import Reason, Refused

Cut = Callable[[Table, Sequence[int]], list[Table]]
MakeTable = Callable[..., Table]


def test_naive_bayes_equals_its_twins(make_table: MakeTable, cut: Cut) -> None:
    table = make_table(missing=0.0)
    numbers = np.column_stack([table.columns["age"], table.columns["dose"]])
    wards = table.columns["ward"][:, None].astype(int)
    normal = GaussianNB(var_smoothing=0.0).fit(numbers, table.outcome)
    multinomial = CategoricalNB(alpha=1.0).fit(wards, table.outcome)
    joint = normal.predict_joint_log_proba(numbers) + multinomial.predict_joint_log_proba(wards)
    joint -= np.log(normal.class_prior_)
    twin = 1 / (1 + np.exp(joint[:, 0] - joint[:, 1]))

    ours = NaiveBayes().fit(Tables(cut(table, [150, 100, 50])))

    np.testing.assert_allclose(ours.predict_proba(table)[:, 1], twin, atol=1e-6)
    assert ours.model_ == NaiveBayes().fit(Tables([table])).model_


def test_what_is_missing_says_nothing(make_table: MakeTable) -> None:
    table = make_table(missing=0.3)

    predicted = NaiveBayes().fit(Tables([table])).model_.explain(table)

    for row in np.flatnonzero(np.isnan(table.columns["dose"])):
        assert predicted[row].contributions["dose"] == 0


@pytest.mark.parametrize("chosen", [0.0, 1.0])
def test_one_class_is_refused(make_table: MakeTable, chosen: float) -> None:
    table = make_table()

    with pytest.raises(Refused) as refused:
        NaiveBayes().fit(Tables([table.select(table.outcome == chosen)]))

    assert refused.value.reason is Reason.ONE_CLASS_ONLY


@pytest.mark.parametrize(("spread", "is_refused"), [(0.0, True), (1e-4, True), (1e-3, False)])
@pytest.mark.parametrize("sides", [(0.0,), (1.0,), (0.0, 1.0)])
def test_a_number_that_hardly_varies_within_a_class_is_refused(
    spread: float,
    is_refused: bool,  # noqa: FBT001  a case
    sides: tuple[float, ...],
) -> None:
    chance = np.random.default_rng(5)
    y = (chance.random(400) < 0.4).astype(float)
    width = np.where(np.isin(y, sides), spread, 0.1)  # as parts of half the range
    x = 300 + 1000 * width * (chance.normal(size=400) + y)
    schema = Schema(columns=(Numeric(name="x", low=-1000, high=1000),), outcome=Outcome(name="y"))
    table = parse_table(schema, {"x": x.tolist(), "y": y.tolist()}, [f"p{number}" for number in range(400)])

    if is_refused:
        with pytest.raises(Refused) as refused:
            NaiveBayes().fit(Tables([table]))
        assert refused.value.reason is Reason.COLUMN_CONSTANT
        assert refused.value.detail.startswith("x hardly varies")
    else:
        twin = GaussianNB(var_smoothing=0.0).fit(x[:, None], y).predict_proba(x[:, None])[:, 1]
        predicted = NaiveBayes().fit(Tables([table])).predict_proba(table)[:, 1]
        np.testing.assert_allclose(predicted, twin, atol=1e-3)
