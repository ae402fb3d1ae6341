"""A model file has one spelling and one name, and a changed one is no model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from iamata.learning.estimators.bayes import NaiveBayes
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.model_files import Model, decode_model, encode_model, identify_model
from iamata.learning.estimators.regression import LinearRegression, LogisticRegression, PoissonRegression
from iamata.learning.estimators.trees import GradientBoosting
from iamata.learning.evaluation.evaluating import Evaluation, Plan
from iamata.learning.federations import Tables
from iamata.learning.programmes import run
from iamata.learning.protocols import Trees, split_site
from iamata.learning.protocols import learn as learn_protocol
from iamata.learning.tables import Table
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import write_protocol

MakeTable = Callable[..., Table]
ESTIMATORS: dict[str, tuple[Any, str]] = {
    "logistic": (LogisticRegression(), "binary"),
    "poisson": (PoissonRegression(), "count"),
    "linear": (LinearRegression(), "number"),
    "trees": (GradientBoosting(trees_max=8), "binary"),
    "bayes": (NaiveBayes(), "binary"),
}


def learn(name: str, make_table: MakeTable) -> tuple[Model, Table]:
    estimator, kind = ESTIMATORS[name]
    table = make_table(kind)
    model: Model = estimator.fit(Tables([table])).model_
    return model, table


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_model_read_back_is_the_same_to_the_last_bit(make_table: MakeTable, name: str) -> None:
    model, table = learn(name, make_table)
    raw = encode_model(model)

    again = decode_model(raw, identify_model(raw))

    assert again == model
    assert encode_model(again) == raw
    np.testing.assert_array_equal(again.predict(table), model.predict(table))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_each_column_adds_is_told_for_every_kind(make_table: MakeTable, name: str) -> None:
    model, table = learn(name, make_table)

    predicted = model.predict(table)

    for value, one in zip(predicted, model.explain(table), strict=True):
        assert one.value == pytest.approx(value)
        total = one.offset + sum(one.contributions.values())
        if name in {"logistic", "trees", "bayes"}:
            assert total == pytest.approx(np.log(value / (1 - value)))
        assert set(one.contributions) <= {"age", "dose", "ward"}
        assert one.low < one.high


def test_a_tree_models_interval_is_what_happened_to_those_kept_out(make_table: MakeTable) -> None:
    table = make_table(rows=2_000)
    protocol = write_protocol(
        schema=table.schema,
        estimator=Trees(settings=Boosting(trees_max=20)),
        holdout_percent=30,
        evaluation=Plan(thresholds=()),
    )

    learned = run(lambda: learn_protocol(protocol), [split_site(protocol, table, number=0)])

    model = decode_model(learned.model, identify_model(learned.model))
    assert isinstance(learned.evaluation, Evaluation)
    rates = {(one.observed.low, one.observed.high) for one in learned.evaluation.calibration}
    said = model.explain(table)
    assert {(one.low, one.high) for one in said} == rates
    assert len(rates) > 3
    assert np.mean([one.low <= one.value <= one.high for one in said]) > 0.8


def test_a_changed_file_is_refused(make_table: MakeTable) -> None:
    raw = encode_model(learn("logistic", make_table)[0])

    for place in range(0, len(raw), 97):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(Refused) as refused:
            decode_model(changed, identify_model(raw))
        assert refused.value.reason is Reason.MODEL_CHANGED


@pytest.mark.parametrize("name", ["logistic", "trees", "bayes"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"iamata-model/1"', b'"iamata-model/2"'),
        (b'{"format"', b'{ "format"'),
        (b'"column":"age"', b'"column":"hat"'),
        (b'"type":"', b'"type":"x'),
        (b'"low":0,', b'"low":NaN,'),
        (b'"low":0,', b'"low":1e999,'),
        (b'"low":0,', b'"low":0.0,'),
        (b'"low":0,', b'"low":200,'),
    ],
)
def test_a_file_that_says_something_else_is_refused_under_its_own_name_too(
    make_table: MakeTable, name: str, old: bytes, new: bytes
) -> None:
    raw = encode_model(learn(name, make_table)[0])
    assert old in raw
    changed = raw.replace(old, new, 1)

    with pytest.raises(Refused):
        decode_model(changed, identify_model(changed))


def test_a_tree_that_leads_in_a_circle_is_refused(make_table: MakeTable) -> None:
    raw = encode_model(learn("trees", make_table)[0])
    changed = raw.replace(b'"left":1,"right":2', b'"left":0,"right":2', 1)
    assert changed != raw

    with pytest.raises(Refused) as refused:
        decode_model(changed, identify_model(changed))

    assert refused.value.reason is Reason.MODEL_CHANGED


def test_a_table_of_other_columns_gets_no_prediction(make_table: MakeTable) -> None:
    model, table = learn("logistic", make_table)
    schema = type(table.schema)(columns=table.schema.columns[:2], outcome=table.schema.outcome)

    with pytest.raises(Refused) as refused:
        model.predict(Table(schema, table.columns, table.outcome, table.patients))

    assert refused.value.reason is Reason.TABLE_CLASHES
