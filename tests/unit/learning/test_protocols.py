"""A protocol that no site could follow, or that would show too few, is refused when it is read."""

import json
from typing import Any

import msgspec
import pytest

from iamata.learning.protocols import PROTOCOL_BYTES_MAX, read_protocol
from iamata.learning.sizes import check_protocol
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import write_protocol


def change(**changes: Any) -> bytes:
    """Write a sound protocol with some of its parts replaced."""
    document = json.loads(msgspec.json.encode(write_protocol()))
    return json.dumps(document | changes).encode()


def refuse(raw: bytes) -> Reason:
    with pytest.raises(Refused) as refused:
        read_protocol(raw)
    return refused.value.reason


def test_a_key_that_stands_twice_is_refused_by_name_for_reviewers_read_the_first() -> None:
    raw = msgspec.json.encode(write_protocol())
    twice = raw.replace(b'"family":', b'"f\\u0061mily":"linear","family":')

    with pytest.raises(Refused) as refused:
        read_protocol(twice)

    assert twice != raw
    assert (refused.value.reason, "'family'" in refused.value.detail) == (Reason.MALFORMED, True)
    assert read_protocol(raw) == write_protocol()


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "probit"},
        {"l2": -1.0},
        {"rounds_max": 0},
        {"penalty": 1.0},
    ],
    ids=json.dumps,
)
def test_a_regression_that_nobody_could_fit_is_refused(settings: dict[str, Any]) -> None:
    assert refuse(change(estimator={"type": "regression", "settings": settings})) is Reason.MALFORMED


@pytest.mark.parametrize(
    "settings",
    [
        {"trees_max": 0},
        {"learning_rate": -0.1},
        {"bins_max": 1},
        {"stops_early": 1},
        {"patience": 0},
        {"growth": {"depth_max": 0}},
        {"growth": {"patients_min": 9}},
        {"leaves": 3},
        {"validation": 0.2},
        {"seed": "whom I choose"},
    ],
    ids=json.dumps,
)
def test_trees_that_nobody_could_grow_or_whose_leaves_are_about_few_are_refused(
    settings: dict[str, Any],
) -> None:
    assert refuse(change(estimator={"type": "trees", "settings": settings})) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("evaluation", "reason"),
    [
        ({"patients_min": 9}, Reason.MALFORMED),
        ({"thresholds": [1.5]}, Reason.MALFORMED),
        ({"cells": 1}, Reason.MALFORMED),
        (
            {"groups": [{"type": "category", "column": "smokes", "category": "rarely"}]},
            Reason.SCHEMA_INVALID,
        ),
        ({"groups": [{"type": "category", "column": "marker", "category": "no"}]}, Reason.SCHEMA_INVALID),
        ({"groups": [{"type": "band", "column": "height", "low": 0, "high": 1}]}, Reason.SCHEMA_INVALID),
        ({"groups": [{"type": "band", "column": "smokes", "low": 0, "high": 1}]}, Reason.SCHEMA_INVALID),
        ({"groups": [{"type": "band", "column": "marker", "low": 1, "high": 1}]}, Reason.SCHEMA_INVALID),
        ({"groups": [{"type": "site", "number": -1}]}, Reason.SCHEMA_INVALID),
        (
            {
                "groups": [
                    {"type": "band", "column": "marker", "low": 0, "high": 2},
                    {"type": "band", "column": "marker", "low": -1, "high": 0.1},
                ]
            },
            Reason.SCHEMA_INVALID,
        ),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else "",
)
def test_an_evaluation_that_shows_few_or_what_is_not_there_is_refused(
    evaluation: dict[str, Any], reason: Reason
) -> None:
    assert refuse(change(evaluation=evaluation)) is reason


def test_a_group_of_a_site_that_the_study_has_not_is_refused() -> None:
    protocol = read_protocol(change(evaluation={"groups": [{"type": "site", "number": 3}]}))

    check_protocol(protocol, sites=4)
    with pytest.raises(Refused) as refused:
        check_protocol(protocol, sites=3)

    assert refused.value.reason is Reason.SCHEMA_INVALID
    assert refused.value.detail == "a group is of site number 3, counted from 0, and the study has 3"


def test_a_word_that_means_nothing_is_refused_and_not_passed_over() -> None:
    columns = [{"type": "numeric", "name": "marker", "low": -5, "high": 5, "mising": "refuse"}]

    assert refuse(change(schema={"columns": columns, "outcome": {"name": "ill"}})) is Reason.MALFORMED


def test_a_file_that_is_too_large_or_no_json_is_refused() -> None:
    assert refuse(b"{" * (PROTOCOL_BYTES_MAX + 1)) is Reason.INPUT_TOO_LARGE
    assert refuse(b"{" * 10_000) is Reason.MALFORMED
    assert refuse(b"\xff") is Reason.MALFORMED
