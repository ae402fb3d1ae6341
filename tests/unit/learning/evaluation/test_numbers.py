"""Errors from sums are those of all rows."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from iamata.learning.estimators.regression import LinearRegression, PoissonRegression
from iamata.learning.evaluation.numbers import evaluate_numbers
from iamata.learning.federations import Tables
from iamata.learning.tables import Table
from iamata.model.reasons import Reason, Refused

Cut = Callable[[Table, Sequence[int]], list[Table]]
MakeTable = Callable[..., Table]


@pytest.mark.parametrize(
    ("kind", "estimator"), [("number", LinearRegression()), ("count", PoissonRegression())]
)
def test_errors_over_sites_are_those_of_all_rows(
    make_table: MakeTable, cut: Cut, kind: str, estimator: LinearRegression | PoissonRegression
) -> None:
    estimator.fit(Tables([make_table(kind)]))
    table = make_table(kind, seed=2)
    expected = estimator.predict(table)

    found = Tables(cut(table, [200, 100])).run(
        lambda: evaluate_numbers(estimator.model_.predict, "model", table.schema.outcome)
    )

    assert found.rows == 300
    assert found.mean_error == pytest.approx(np.mean(expected - table.outcome), abs=1e-6)
    assert found.absolute_error == pytest.approx(mean_absolute_error(table.outcome, expected), abs=1e-6)
    assert found.root_mean_square_error == pytest.approx(
        root_mean_squared_error(table.outcome, expected), rel=1e-4
    )
    assert found.explained == pytest.approx(r2_score(table.outcome, expected), abs=1e-4)


def test_few_rows_are_refused(make_table: MakeTable) -> None:
    table = make_table("number")
    few = table.select(np.arange(300) < 9)

    with pytest.raises(Refused) as refused:
        Tables([few]).run(lambda: evaluate_numbers(lambda one: one.outcome, "model", table.schema.outcome))

    assert refused.value.reason is Reason.TOO_FEW_PATIENTS
