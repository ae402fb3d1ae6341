"""Naive Bayes over sums equals scikit-learn's on all rows at once."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from sklearn.naive_bayes import CategoricalNB, GaussianNB

from iamata.learning.estimators.bayes import NaiveBayes
from iamata.learning.federations import Tables
from iamata.learning.tables import Table
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
