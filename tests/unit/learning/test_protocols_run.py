"""Whatever a protocol says, it is refused, or it runs: no number of it stops a site in another way."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.learning.programmes import Site, run
from iamata.learning.protocols import Protocol, learn, read_protocol, split_site
from iamata.learning.sizes import check_protocol
from iamata.learning.tables import parse_table
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import draw_rows, write_protocol

SITES = 3
WORDS = st.sampled_from(["logistic", "poisson", "linear", "nonsense", ""])
WHOLE = st.sampled_from([-(2**63), -5, -1, 0, 1, 2, 3, 10, 16, 25, 64, 2**16, 2**33, 2**40])
NUMBERS = st.sampled_from([-1e308, -1e9, -1.0, 0.0, 5e-324, 1e-9, 1e-3, 0.1, 0.5, 1.0, 7.0, 1e6, 1e308])
TREES = st.sampled_from([-1, 0, 1, 2, 2**40])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def tagged(tag: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return some(**fields).map(lambda said: {"type": tag} | said)


REGRESSION = tagged("regression", settings=some(family=WORDS, l2=NUMBERS, rounds_max=WHOLE))
GROWTH = some(depth_max=TREES, l2=NUMBERS, patients_min=WHOLE)
BOOSTING = some(
    learning_rate=NUMBERS, bins_max=WHOLE, growth=GROWTH, stops_early=st.booleans(), patience=TREES
)
FEW_TREES = st.builds(lambda said, trees: said | {"trees_max": trees}, BOOSTING, TREES)
ESTIMATORS = st.one_of(
    REGRESSION,
    FEW_TREES.map(lambda said: {"type": "trees", "settings": said}),
    tagged("bayes", smoothing=NUMBERS),
)
GROUPS = st.lists(
    st.one_of(
        tagged("site", number=WHOLE).map(lambda one: {"number": 0} | one),
        st.builds(
            lambda column, low, high: {"type": "band", "column": column, "low": low, "high": high},
            st.sampled_from(["marker", "smokes", "nothing"]),
            NUMBERS,
            NUMBERS,
        ),
        st.builds(
            lambda column, word: {"type": "category", "column": column, "category": word},
            st.sampled_from(["marker", "smokes", "nothing"]),
            st.sampled_from(["yes", "no", "never"]),
        ),
    ),
    max_size=3,
)
PLANS = some(
    cells=WHOLE,
    thresholds=st.lists(NUMBERS, max_size=3),
    groups=GROUPS,
    calibration_groups=WHOLE,
    patients_min=WHOLE,
)
OUTCOMES = some(kind=st.sampled_from(["binary", "count", "number"]), low=NUMBERS, high=NUMBERS)
PROTOCOLS = some(
    estimator=ESTIMATORS,
    evaluation=PLANS,
    holdout_percent=st.sampled_from([-1, 0, 40, 50, 51]),
    schema=st.builds(
        lambda low, high, outcome: {
            "columns": [
                {"type": "numeric", "name": "marker", "low": low, "high": high, "outside": "clip"},
                {"type": "categorical", "name": "smokes", "categories": ["no", "yes"]},
            ],
            "outcome": {"name": "ill"} | outcome,
        },
        NUMBERS,
        NUMBERS,
        OUTCOMES,
    ),
)


def read(changes: dict[str, Any]) -> Protocol:
    written = msgspec.to_builtins(write_protocol()) | changes
    return read_protocol(msgspec.json.encode(written))


def make_sites(protocol: Protocol) -> list[Site]:
    sites = []
    for number in range(SITES):
        rows = draw_rows(60, number)
        columns = {name: [row[name] for row in rows] for name in ("marker", "smokes", "ill")}
        patients = [f"{number}-{place}" for place in range(len(rows))]
        sites.append(split_site(protocol, parse_table(protocol.schema, columns, patients), number=number))
    return sites


@given(PROTOCOLS)
@settings(max_examples=150)
def test_a_protocol_runs_or_is_refused(changes: dict[str, Any]) -> None:
    try:
        protocol = read(changes)
        check_protocol(protocol, sites=SITES)
        learned = run(lambda: learn(protocol), make_sites(protocol))
    except Refused:
        return
    assert learned.model


@pytest.mark.parametrize(
    "changes",
    [
        {"estimator": {"type": "bayes", "smoothing": 0}},
        {"evaluation": {"cells": 0}},
        {"evaluation": {"cells": 2**40}},
        {"evaluation": {"calibration_groups": 0}},
    ],
    ids=str,
)
def test_a_number_beyond_its_limits_is_refused_where_it_is_read(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        read(changes)

    assert refused.value.reason is Reason.MALFORMED
