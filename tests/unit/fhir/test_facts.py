"""A consent decision learns when the data came to be, by whom, and what belongs to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.fhir.facts import find_days, parse_days, state_facts
from iamata.fhir.resources import Resource
from iamata.model.instants import parse_day


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2022-06-13", "2022-06-13", "2022-06-13"),
        ("2022-06-13T23:30:00-05:00", "2022-06-14", "2022-06-14"),
        ("2022-06-13T00:30:00.123+02:00", "2022-06-12", "2022-06-12"),
        ("2022-06-13T10:00:00Z", "2022-06-13", "2022-06-13"),
        ("2022-02", "2022-02-01", "2022-02-28"),
        ("2022-12", "2022-12-01", "2022-12-31"),
        ("2022", "2022-01-01", "2022-12-31"),
        ("1931", "1931-01-01", "1931-12-31"),
    ],
)
def test_a_date_is_the_utc_days_that_it_may_mean(text: str, first: str, last: str) -> None:
    assert parse_days(text) == (parse_day(first), parse_day(last))


@pytest.mark.parametrize(
    "text", ["", "x", "20220613", "2022-13", "2022-06-32", "0000", "9999-12", 7, None, {}, []]
)
def test_what_is_no_date_tells_no_day(text: Any) -> None:
    assert parse_days(text) is None


@given(st.text(max_size=30))
def test_any_text_is_a_day_or_none(text: str) -> None:
    parse_days(text)


def test_a_period_spans_its_days() -> None:
    period: Any = {"start": "2022-06-13", "end": "2022-06-15"}
    assert find_days({"period": period}) == (parse_day("2022-06-13"), parse_day("2022-06-15"))
    assert find_days({"period": {"end": "2022"}}) == (parse_day("2022-01-01"), parse_day("2022-12-31"))
    assert find_days({"period": {}}) is None
    assert find_days({}) is None


def test_the_clinical_time_counts_before_the_clerical() -> None:
    days = find_days({"issued": "2022-07-01", "effectiveDateTime": "2022-06-01"})
    assert days == (parse_day("2022-06-01"), parse_day("2022-06-01"))


def test_authors_and_related_records_are_listed() -> None:
    elements: Any = {
        "performer": [{"reference": "Practitioner/a"}, {"actor": {"reference": "Practitioner/b"}}],
        "encounter": {"reference": "Encounter/e"},
        "basedOn": [{"reference": "CarePlan/c"}, {"display": "x"}],
    }
    facts = state_facts(
        Resource(elements=elements, codings=(("s", "c"),)),
        resource_type="Procedure",
        resource_id="r",
        labels=("N",),
    )
    assert facts.record == "Procedure/r"
    assert facts.authors == ("Practitioner/a", "Practitioner/b")
    assert facts.related == ("Encounter/e", "CarePlan/c")
    assert facts.codes == (("s", "c"),)
