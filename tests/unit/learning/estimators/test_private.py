"""What differential privacy rests on: no patient changes a sum by more than the query says."""

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.learning.estimators.private import PrivateSettings, fit_private
from iamata.learning.estimators.regression import PrivateLogisticRegression
from iamata.learning.federations import Tables
from iamata.learning.programmes import Query, Site, decode_sum, encode_share
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Integers, Table, parse_table
from iamata.model.reasons import Reason, Refused

ROWS = 10_000
MakeTable = Callable[..., Table]
SCHEMA = Schema(
    columns=(
        Numeric(name="age", low=20, high=90, outside="clip", missing="mean"),
        Numeric(name="dose", low=0, high=10, outside="clip"),
        Categorical(name="ward", categories=("a", "b", "c"), outside="missing"),
    ),
    outcome=Outcome(name="y"),
)
ROW = st.tuples(
    st.floats(-1e3, 1e3),
    st.none() | st.floats(-1e3, 1e3),
    st.sampled_from(["a", "b", "c", "", "x"]),
    st.sampled_from([0, 1]),
)


def build(rows: Sequence[tuple[float, float | None, str, int]], patients: Sequence[str]) -> Table:
    age, dose, ward, outcome = zip(*rows, strict=True)
    return parse_table(SCHEMA, {"age": age, "dose": dose, "ward": ward, "y": outcome}, patients)


@given(st.lists(ROW, min_size=1, max_size=6), st.lists(ROW, min_size=1, max_size=4))
def test_no_patient_changes_a_sum_by_more_than_the_query_says(
    others: list[tuple[float, float | None, str, int]], own: list[tuple[float, float | None, str, int]]
) -> None:
    whole = build([*others, *own], [*(f"p{n}" for n in range(len(others))), *("me" for _ in own)])
    without = whole.without({"me"})
    running = fit_private(SCHEMA, PrivateSettings(rho=1.0))
    query = next(running)

    for _ in range(2):
        with_me, without_me = (
            encode_share(query, query.compute(query.given, Site(table))) for table in (whole, without)
        )
        assert query.noise is not None
        assert np.linalg.norm(with_me - without_me) <= query.noise.sensitivity
        if not with_me.any():
            return
        try:
            query = running.send(decode_sum(query, with_me))
        except StopIteration:
            return


def test_a_patient_of_many_rows_changes_no_more() -> None:
    """Each row weighs so little that rounding it by itself would double or lose it."""
    names = [f"x{number}" for number in range(40)]
    columns = tuple(Numeric(name=name, low=-1, high=1, outside="clip") for name in names)
    schema = Schema(columns=columns, outcome=Outcome(name="y"))
    shares = []
    for value in np.linspace(0.5, 1, 8).tolist():
        rows = {**dict.fromkeys(names, [value] * ROWS), "y": [1] * ROWS}
        query = next(fit_private(schema, PrivateSettings(rho=1.0)))
        share = query.compute(query.given, Site(parse_table(schema, rows, ["p"] * ROWS)))
        assert query.noise is not None
        shares.append(np.linalg.norm(encode_share(query, share)) / query.noise.sensitivity)

    assert 0.9 < max(shares) <= 1


def test_both_sums_together_spend_what_is_allowed() -> None:
    running = fit_private(SCHEMA, PrivateSettings(rho=0.03))
    first = next(running)
    second = running.send({"gradient": np.ones(first.length)})

    spent = [query.noise.rho for query in (first, second) if query.noise is not None]

    assert len(spent) == 2
    assert sum(spent) == pytest.approx(0.03)


@pytest.mark.parametrize(
    "column",
    [
        Numeric(name="age", low=0, high=9, missing="mean"),
        Numeric(name="age", low=0, high=9, missing="refuse", outside="clip"),
        Categorical(name="age", categories=("a", "b")),
    ],
)
def test_a_column_by_which_a_value_could_stop_the_run_is_refused(column: Numeric | Categorical) -> None:
    schema = msgspec.structs.replace(SCHEMA, columns=(column,))

    with pytest.raises(Refused) as refused:
        next(fit_private(schema, PrivateSettings(rho=1.0)))

    assert refused.value.reason is Reason.SCHEMA_INVALID


def test_a_private_fit_tells_the_classes_apart(make_table: MakeTable) -> None:
    table = make_table(rows=2_000)
    columns = {name: values.tolist() for name, values in table.columns.items() if name != "ward"}
    ward = [None if math.isnan(code) else "abc"[int(code)] for code in table.columns["ward"]]
    clipped = parse_table(SCHEMA, {**columns, "ward": ward, "y": table.outcome.tolist()}, table.patients)
    chance = np.random.default_rng(3)

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        assert query.noise is not None
        spread = query.noise.sensitivity / math.sqrt(2 * query.noise.rho)
        return sum(shares[1:], shares[0]) + np.rint(chance.normal(0, spread, query.length)).astype(np.int64)

    fitted = PrivateLogisticRegression(rho=0.03).fit(Tables([clipped], add))

    assert (fitted.predict(clipped) == table.outcome).mean() > 0.65
    assert fitted.predict_proba(clipped)[:, 1].mean() == pytest.approx(table.outcome.mean(), abs=0.06)
    assert fitted.get_params() == {"rho": 0.03, "norm_max": 3.0}
