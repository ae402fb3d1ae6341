"""A patient's rows become one row of a study, and nothing from after the index day is in its features."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import msgspec
import pytest

from iamata.learning.cohort_rows import choose_last_index, make_row
from iamata.learning.cohorts import Cohort, check_cohort, check_columns
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Cell
from iamata.model.reasons import Reason, Refused

SCHEMA = Schema(
    columns=(
        Numeric(name="age", low=0, high=120),
        Categorical(name="sex", categories=("female", "male")),
        Numeric(name="pressure", low=0, high=300),
        Numeric(name="measured", low=0, high=100),
    ),
    outcome=Outcome(name="ill"),
)
SAID: Final[dict[str, Any]] = {
    "views": {"people": {"resource": "Patient"}, "visits": {}, "values": {}, "illnesses": {}},
    "index": {"view": "visits", "date": "day"},
    "features": {
        "age": {"type": "age", "view": "people", "birth": "born"},
        "sex": {"type": "fixed", "view": "people", "column": "sex"},
        "pressure": {
            "type": "history",
            "view": "values",
            "date": "day",
            "take": "last",
            "column": "value",
            "days": [-365, 1],
            "where": {"code": ["8480-6"]},
        },
        "measured": {"type": "history", "view": "values", "date": "day", "take": "count"},
    },
    "outcome": {"view": "illnesses", "date": "day", "days": [1, 366], "is_first_only": True},
    "followed_days_after": 365,
}
COHORT = msgspec.convert(SAID, Cohort)


def tell(
    *illnesses: str,
    values: Sequence[tuple[str, float]] = (),
    born: str | None = "1960-05-02",
    visits: Sequence[str] = ("2020-05-01", "2022-06-01"),
) -> dict[str, Cell] | None:
    """Make the row of one patient."""
    rows: dict[str, list[dict[str, object]]] = {
        "people": [{"born": born, "sex": "female"}],
        "visits": [{"day": day} for day in visits],
        "values": [{"code": "8480-6", "day": day, "value": value} for day, value in values],
        "illnesses": [{"day": day} for day in illnesses],
    }
    return make_row(COHORT, SCHEMA, rows)


def test_features_end_with_the_index_day_and_begin_with_the_span() -> None:
    values = [("2019-05-01", 99.0), ("2019-05-02", 120.0), ("2020-05-01T23:59:00-11:00", 130.0)]

    row = tell(values=[*values, ("2020-05-02", 199.0), ("2020", 198.0)])

    assert row == {"age": 59, "sex": "female", "pressure": 130.0, "measured": 3, "ill": 0}
    assert (tell(values=values[:1]) or {})["pressure"] is None
    assert (tell(values=values[:2]) or {})["pressure"] == 120.0


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2020-05-01T09:00:00+02:00", "2020-05-01T08:00:00Z"),
        ("2020-05-01T23:00:00+14:00", "2020-05-01T00:30:00-11:00"),
        ("2020-05-01T08:00:00Z", "2020-05-01T08:00:00.5Z"),
        ("2020-05-01", "2020-05-01T00:00:00+14:00"),
    ],
)
def test_rows_of_one_day_follow_each_other_by_their_instants_whatever_their_zones(
    earlier: str, later: str
) -> None:
    for values in ([(earlier, 120.0), (later, 110.0)], [(later, 110.0), (earlier, 120.0)]):
        assert (tell(values=values) or {})["pressure"] == 110.0


def test_of_values_of_one_instant_in_two_zones_the_least_counts() -> None:
    values = [("2020-05-01T10:00:00+02:00", 120.0), ("2020-05-01T08:00:00Z", 130.0)]

    assert (tell(values=values) or {})["pressure"] == 120.0


@pytest.mark.parametrize(
    ("day", "ill"), [("2020-05-02", 1), ("2021-05-01", 1), ("2021-05-02", 0), ("2020-06", 0)]
)
def test_the_outcome_counts_within_its_half_open_span(day: str, ill: int) -> None:
    row = tell(day)

    assert row is not None
    assert row["ill"] == ill


def test_whoever_had_it_before_or_is_not_followed_or_has_no_event_is_left_out() -> None:
    assert tell("2020-05-01") is None
    assert tell(visits=("2020-05-01", "2021-04-30")) is None
    assert tell("2020-06-01", visits=("2020-05-01",)) is not None
    assert tell(visits=("2020-05",)) is None


@pytest.mark.parametrize(("born", "age"), [("1960", 60), ("1960-06", 59), (None, None), ("2021", None)])
def test_an_age_counts_from_the_first_day_that_a_birth_may_be_on(born: str | None, age: int | None) -> None:
    assert (tell(born=born) or {})["age"] == age


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": SAID["outcome"] | {"days": [0, 366]}},
        {"outcome": SAID["outcome"] | {"view": "nowhere"}},
        {"features": {name: SAID["features"][name] for name in ("age", "sex", "measured")}},
        {"features": SAID["features"] | {"more": SAID["features"]["sex"]}},
        {"features": SAID["features"] | {"measured": SAID["features"]["measured"] | {"days": [-9, 2]}}},
    ],
)
def test_what_predicts_from_later_or_fills_other_columns_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        check_cohort(msgspec.convert(SAID | changed, Cohort), SCHEMA)

    assert refused.value.reason is Reason.SCHEMA_INVALID


def test_a_column_that_a_view_has_not_is_refused() -> None:
    check_cohort(COHORT, SCHEMA)
    columns = {
        "people": ["born", "sex"],
        "visits": ["day"],
        "values": ["day", "code"],
        "illnesses": ["day"],
    }

    with pytest.raises(Refused, match="value"):
        check_columns(COHORT, columns)


@pytest.mark.parametrize(
    ("changed", "visits", "illnesses", "detail"),
    [
        ({}, ["2022-06-02"], [], "no index event"),
        ({}, ["2020-05-01"], ["2020-05-01"], "the outcome is there already"),
        ({"known_days_before": 762}, ["2020-05-01", "2022-06-01"], [], "known for too short a time"),
        ({"known_days_before": 761}, ["2020-05-01", "2022-06-01", "2022-06-02"], [], None),
        ({"outcome": SAID["outcome"] | {"is_first_only": False}}, ["2022-06-01"], ["2022-01-01"], None),
        ({}, ["2022-06-01"], ["2022-06-02"], None),
    ],
)
def test_a_model_is_asked_on_the_last_index_day_of_whom_training_would_have_taken(
    changed: dict[str, object], visits: list[str], illnesses: list[str], detail: str | None
) -> None:
    cohort, today = msgspec.convert(SAID | changed, Cohort), date(2022, 6, 1).toordinal()
    rows: dict[str, list[dict[str, object]]] = {
        "people": [],
        "values": [],
        "visits": [{"day": day} for day in visits],
        "illnesses": [{"day": day} for day in illnesses],
    }

    if detail is None:
        assert choose_last_index(cohort, rows, until=today) == today
    else:
        with pytest.raises(Refused, match=detail) as refused:
            choose_last_index(cohort, rows, until=today)
        assert refused.value.reason is Reason.NOT_IN_COHORT


@pytest.mark.parametrize("feature", [{"type": "fixed", "column": "day"}, {"type": "age", "birth": "day"}])
@pytest.mark.parametrize("view", ["visits", "values", "illnesses"])
def test_what_has_no_date_is_not_taken_from_a_view_with_dates(view: str, feature: dict[str, Any]) -> None:
    views = {name: {"resource": "Patient"} for name in SAID["views"]}
    features = SAID["features"] | {"age": feature | {"view": view}}

    with pytest.raises(Refused, match=f"age is taken from the dated view {view}"):
        check_cohort(msgspec.convert(SAID | {"views": views, "features": features}, Cohort), SCHEMA)


@pytest.mark.parametrize(
    ("people", "detail"),
    [
        ({"resource": "Condition"}, "age is not of a Patient"),
        ({}, "age is not of a Patient"),
        ({"resource": "Patient", "select": [{"column": [{"path": "deceased.exists()"}]}]}, "a death"),
        ({"resource": "Patient", "where": [{"path": "children().exists()"}]}, "a death"),
    ],
)
def test_what_has_no_date_is_taken_from_a_living_patient_alone(people: dict[str, Any], detail: str) -> None:
    views = SAID["views"] | {"people": people}

    with pytest.raises(Refused, match=detail) as refused:
        check_cohort(msgspec.convert(SAID | {"views": views}, Cohort), SCHEMA)

    assert refused.value.reason is Reason.SCHEMA_INVALID
