"""Models in a notebook: what each kind says of rows of any data frame."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from iamata.learning.estimators.bayes import NaiveBayes
from iamata.learning.estimators.regression import LinearRegression, PoissonRegression
from iamata.learning.federations import Tables
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.model.ids import ModelId
from iamata.model.reasons import Reason, Refused
from iamata.notebook import Fitted, read_frame

ROWS = 40
COLUMNS = (Numeric(name="marker", low=-5, high=5), Categorical(name="smokes", categories=("no", "yes")))
COUNT = Schema(columns=COLUMNS, outcome=Outcome(name="visits", kind="count", high=10))
NUMBER = Schema(columns=COLUMNS, outcome=Outcome(name="visits", kind="number", low=-10, high=30))
YES = Schema(columns=COLUMNS, outcome=Outcome(name="ill"))


def make_frame() -> pa.Table:
    """Make rows in which the outcomes rise with the marker."""
    marker = np.linspace(-2, 2, ROWS)
    return pa.table(
        {
            "who": [f"patient-{number}" for number in range(ROWS)],
            "marker": marker,
            "smokes": ["no", "yes"] * (ROWS // 2),
            "visits": np.round(marker + 2),
            "ill": (marker > 0).astype(np.int64),
        }
    )


def test_a_count_and_a_number_are_expected_and_have_no_probability() -> None:
    for schema, estimator in ((COUNT, PoissonRegression()), (NUMBER, LinearRegression())):
        frame = make_frame()
        tables = Tables([read_frame(frame, schema, patient="who")])
        fitted = Fitted(ModelId(""), estimator.fit(tables).model_)

        expected = fitted.predict(duckdb.from_arrow(frame.select(["smokes", "marker"])))
        with pytest.raises(Refused) as refused:
            fitted.predict_proba(frame)

        assert expected == pytest.approx(estimator.predict(tables.tables[0]))
        assert expected[-1] > expected[0]
        assert refused.value.reason is Reason.INPUT_INVALID
        assert "predict" in refused.value.detail


def test_the_coefficients_of_a_number_are_in_its_unit_and_so_are_their_intervals() -> None:
    frame = make_frame()
    inputs = np.column_stack([np.array(frame["marker"]), np.array(frame["smokes"]) == "yes"])
    design, outcome = StandardScaler().fit_transform(inputs), np.array(frame["visits"])
    twin = Ridge(alpha=1.0).fit(design, outcome)
    model = LinearRegression().fit(Tables([read_frame(frame, NUMBER, patient="who")])).model_

    rows = {row["term"]: row for row in Fitted(ModelId(""), model).list_coefficients().to_pylist()}

    told = [rows[term] for term in ("(intercept)", "marker", "smokes is yes")]
    curvature = np.diag([ROWS, 1.0, 1.0])
    curvature[1:, 1:] += design.T @ design
    loss = ((outcome - twin.predict(design)) ** 2).sum() + (twin.coef_**2).sum()
    dispersion = loss / (ROWS - len(rows))
    reaches = 1.96 * np.sqrt(np.diagonal(np.linalg.inv(curvature)) * dispersion)
    found = [one["coefficient"] for one in told]
    assert found == pytest.approx([twin.intercept_, *twin.coef_], rel=1e-6)
    for place, one in enumerate(told):
        assert one["high"] - one["coefficient"] == pytest.approx(reaches[place], rel=0.01)
        assert one["coefficient"] - one["low"] == pytest.approx(reaches[place], rel=0.01)


def test_what_a_regression_learned_nothing_of_has_no_interval() -> None:
    tables = Tables([read_frame(make_frame(), NUMBER, patient="who")])
    fitted = Fitted(ModelId(""), LinearRegression().fit(tables).model_)

    unknown = fitted.explain(pa.table({"marker": [1.0, None], "smokes": ["yes", "yes"]}))
    rows = {
        row["term"]: (row["spread"], row["low"], row["high"])
        for row in fitted.list_coefficients().to_pylist()
    }

    assert unknown.column("unlearned").to_pylist() == [[], ["marker"]]
    assert rows["smokes is missing"] == rows["marker is missing"] == (0.0, None, None)
    for term in ("marker", "smokes is yes", "(intercept)"):
        _, low, high = rows[term]
        assert low < high


def test_a_model_without_coefficients_says_what_explains_it() -> None:
    frame = make_frame()
    bayes = NaiveBayes().fit(Tables([read_frame(frame, YES, patient="who")])).model_
    fitted = Fitted(ModelId(""), bayes)

    with pytest.raises(Refused) as refused:
        fitted.list_coefficients()
    explained = fitted.explain(frame)

    assert "explain" in refused.value.detail
    numbers = ["value", "low", "high", "offset", "adds_marker", "adds_smokes"]
    assert explained.column_names == [*numbers, "unlearned"]
    assert explained.column("value").to_pylist() == fitted.predict_proba(frame)[:, 1].tolist()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pa.table({"marker": [1.0]}), Reason.TABLE_CLASHES),
        (pa.table({"marker": [9.0], "smokes": ["no"]}), Reason.VALUE_OUT_OF_BOUNDS),
        ("a word", Reason.TABLE_CLASHES),
    ],
    ids=["a column too few", "beyond the bounds", "no frame"],
)
def test_rows_that_the_model_cannot_have_learned_from_are_refused(frame: object, reason: Reason) -> None:
    tables = Tables([read_frame(make_frame(), NUMBER, patient="who")])
    fitted = Fitted(ModelId(""), LinearRegression().fit(tables).model_)

    with pytest.raises(Refused) as refused:
        fitted.predict(frame)

    assert refused.value.reason is reason
