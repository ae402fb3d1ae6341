"""Terms and FHIR Consent say the same, and what cannot be said is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.consent.terms import DATA_DAY_MIN, DataPeriod, Meaning, Period, Rule, Ruling, Selector, Terms
from iamata.fhir.consents import Ceremony, find_profile, read_ceremony, read_consent, write_consent
from iamata.model.instants import DAY_MAX, MS_PER_DAY, Day, Instant, parse_day
from iamata.model.reasons import Reason, Refused

PUBLISHED = 23
CEREMONY = Ceremony(
    consent="caaaaaaaaaaaaaaaaaaaaaaaaa",
    patient="Patient/paaaaaaaaaaaaaaaaaaaaaaaaa",
    performers=("Patient/paaaaaaaaaaaaaaaaaaaaaaaaa",),
    custodians=("member:hospital-a",),
    evidence="DocumentReference/signed",
)
TERMS = Terms(
    decision=Ruling.PERMIT,
    recipients=("member:hospital-b", "Practitioner/x"),
    purposes=("TREAT", "http://example.org/purposes|OTHER"),
    classes=("Observation",),
    labels=("N", "PSY"),
    codes=("http://loinc.org|8867-4",),
    data=(Selector(meaning=Meaning.RELATED, reference="Encounter/1"),),
    data_period=DataPeriod(first=parse_day("2020-02-29")),
    validity=Period(last=parse_day("2030-12-31")),
    recorded_ms=Instant(1_750_000_000_123),
    policy="https://example.org/policies/sharing/1",
    exceptions=(Rule(decision=Ruling.DENY, labels=("R",)),),
)

FHIR_IDS = st.from_regex(r"[A-Za-z0-9.\-]{1,64}", fullmatch=True)
REFERENCES = st.one_of(
    FHIR_IDS.map(lambda text: f"Practitioner/{text}"),
    st.uuids().map(lambda uuid: f"urn:uuid:{uuid}"),
    FHIR_IDS.map(lambda text: f"https://example.org/fhir/Patient/{text}"),
)
RECIPIENTS = st.one_of(
    REFERENCES,
    st.from_regex(r"(member|person|role):[a-z0-9\-]{2,64}", fullmatch=True),
)
CODES = st.from_regex(r"[!-{}~]{1,64}", fullmatch=True)
SYSTEM_CODES = st.tuples(st.sampled_from(["http://loinc.org", "http://snomed.info/sct"]), CODES).map(
    "|".join
)
DAYS = st.integers(0, DAY_MAX)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=3).map(tuple)


@st.composite
def spans(draw: st.DrawFn, days: st.SearchStrategy[int]) -> tuple[int | None, int | None]:
    first, last = sorted((draw(days), draw(days)))
    keeps = draw(st.tuples(st.booleans(), st.booleans()))
    return first if keeps[0] else None, last if keeps[1] else None


def make_period(ends: tuple[int | None, int | None]) -> Period:
    first, last = (None if day is None else Day(day) for day in ends)
    return Period(first=first, last=last)


def make_data_period(ends: tuple[int | None, int | None]) -> DataPeriod:
    return DataPeriod(first=ends[0], last=ends[1])


ELEMENTS = {
    "decision": st.sampled_from(Ruling),
    "recipients": some(RECIPIENTS),
    "purposes": some(CODES | SYSTEM_CODES),
    "classes": some(st.from_regex(r"[A-Z][A-Za-z]{1,63}", fullmatch=True)),
    "labels": some(st.sampled_from(["U", "N", "R", "V"]) | CODES),
    "codes": some(SYSTEM_CODES),
    "data": some(st.builds(Selector, meaning=st.sampled_from(Meaning), reference=REFERENCES)),
    "data_period": spans(st.integers(DATA_DAY_MIN, DAY_MAX)).map(make_data_period),
    "validity": spans(DAYS).map(make_period),
}
ANY_TERMS = st.builds(
    Terms,
    **ELEMENTS,
    recorded_ms=st.integers(0, DAY_MAX * MS_PER_DAY),
    policy=st.from_regex(r"[!-~]{1,100}", fullmatch=True),
    exceptions=some(st.builds(Rule, **ELEMENTS)),
)


def make_resource() -> dict[str, Any]:
    resource: dict[str, Any] = json.loads(json.dumps(write_consent(TERMS, CEREMONY)))
    return resource


def refuse(resource: dict[str, Any]) -> str:
    with pytest.raises(Refused) as refusal:
        read_consent(resource)
    assert refusal.value.reason is Reason.RESOURCE_INVALID
    return refusal.value.detail


@given(ANY_TERMS)
def test_terms_survive_the_way_through_fhir(terms: Terms) -> None:
    resource = json.loads(json.dumps(write_consent(terms, CEREMONY)))

    assert read_consent(resource) == terms
    assert read_ceremony(resource) == CEREMONY


def test_all_published_consents_are_read_and_written_back(shared_data: Path) -> None:
    paths = sorted((shared_data / "consent" / "ihe-pcf").glob("Consent-*.json"))
    for path in paths:
        published = json.loads(path.read_text())

        terms, ceremony = read_consent(published), read_ceremony(published)
        written = write_consent(terms, ceremony)

        assert read_consent(written) == terms
        for name in (
            "id",
            "status",
            "scope",
            "patient",
            "performer",
            "organization",
            "policy",
            "provision",
        ):
            assert written[name] == published[name], (path.name, name)
        assert written["sourceReference"] == published["sourceReference"]
    assert len(paths) == PUBLISHED


def test_the_level_of_a_published_consent_is_found_again(shared_data: Path) -> None:
    for path in sorted((shared_data / "consent" / "ihe-pcf").glob("Consent-*.json")):
        published = json.loads(path.read_text())

        profile = find_profile(read_consent(published)) or ""

        level = "basic" if published["id"] == "ex-consent-expired-treat" else published["id"].split("-")[2]
        assert profile.lower().endswith(f"pcf.consent{level}"), path.name


def test_our_superset_claims_no_profile_of_pcf() -> None:
    assert find_profile(TERMS) is None
    assert "meta" not in write_consent(TERMS, CEREMONY)


def test_members_persons_and_roles_stand_by_identifier() -> None:
    provision = make_resource()["provision"]

    assert provision["actor"][0]["reference"] == {
        "type": "Organization",
        "identifier": {"system": "urn:iamata:member", "value": "hospital-b"},
    }


def test_data_may_be_older_than_1970_and_a_rule_may_not() -> None:
    resource = make_resource()
    resource["provision"]["dataPeriod"] = {"start": "1931", "end": "1969-12"}

    terms = read_consent(resource)

    assert terms.data_period == DataPeriod(first=parse_day("1931-01-01"), last=-1)
    resource["provision"]["dataPeriod"] = {"start": "0900"}
    assert refuse(resource) == "data_period.first"
    del resource["provision"]["dataPeriod"]
    resource["provision"]["period"] = {"start": "1969"}
    assert refuse(resource) == "validity.first"


def test_partial_dates_mean_all_of_the_month_or_year() -> None:
    resource = make_resource()
    resource["provision"]["period"] = {"start": "2023", "end": "2024-02"}

    terms = read_consent(resource)

    assert terms.validity == Period(first=parse_day("2023-01-01"), last=parse_day("2024-02-29"))


@pytest.mark.parametrize(
    "element",
    [
        *("status", "scope", "category", "patient", "dateTime", "performer", "organization", "policy"),
        *("sourceReference", "provision"),
    ],
)
def test_an_element_that_pcf_requires_is_required(element: str) -> None:
    resource = make_resource()
    del resource[element]

    refuse(resource)


@pytest.mark.parametrize(
    ("path", "value", "detail"),
    [
        (["status"], "draft", "status"),
        (["resourceType"], "Observation", "resourceType"),
        (["scope", "coding", 0, "code"], "research", "scope"),
        (["scope", "coding", 0, "system"], "urn:other", "scope"),
        (["performer"], [], "performer"),
        (["policy"], [{"uri": "urn:1"}, {"uri": "urn:2"}], "policy"),
        (["policy", 0, "authority"], "urn:authority", "policy"),
        (["policyRule"], {"text": "all"}, ""),
        (["verification"], [{"verified": True}], ""),
        (["modifierExtension"], [{"url": "urn:not"}], ""),
        (["implicitRules"], "urn:rules", ""),
        (["sourceAttachment"], {"url": "urn:scan"}, ""),
        (["dateTime"], "2022", "dateTime"),
        (["dateTime"], "2022-02-30", "dateTime"),
        (["dateTime"], "2022-06-13T10:00:00", "dateTime"),
        (["dateTime"], "1812-06-13", ""),
        (["provision", "type"], "maybe", "provision.type"),
        (["provision", "action"], [{"text": "collect"}], "provision"),
        (["provision", "extension"], [{"url": "urn:x"}], "provision"),
        (["provision", "provision", 0, "provision"], [{"type": "deny"}], "provision.provision"),
        (["provision", "actor", 0, "role", "coding", 0, "code"], "PRCP", "provision.actor[0].role"),
        (["provision", "actor", 0, "reference"], {"display": "anybody"}, "provision.actor"),
        (["provision", "actor", 0, "reference"], {"reference": "member:hospital-b"}, "provision.actor"),
        (
            ["provision", "actor", 0, "reference", "identifier", "system"],
            "urn:x",
            "provision.actor.identifier",
        ),
        (["provision", "actor", 1, "reference", "reference"], "#contained", "recipients"),
        (["provision", "securityLabel", 0, "system"], "urn:labels", "provision.securityLabel"),
        (["provision", "securityLabel", 1, "code"], "N", "provision.securityLabel"),
        (["provision", "securityLabel", 1, "code"], "urn:x|PSY", "provision.securityLabel"),
        (["provision", "purpose", 0], {"code": "TREAT"}, "provision.purpose"),
        (["provision", "class", 0, "system"], "urn:classes", "provision.class"),
        (["provision", "code", 0], {"text": "blood pressure"}, "provision.code"),
        (["provision", "data", 0, "meaning"], "dependents", "provision.data"),
        (["provision", "period"], {"end": "2022-12-31T10:00:00Z"}, "provision.period"),
        (["provision", "period"], {"end": "sometime"}, "provision.period"),
        (["provision", "period"], {"start": "2023-01-01", "end": "2022-12-31"}, "ends before it begins"),
    ],
)
def test_what_pcf_forbids_or_terms_cannot_hold_is_refused_with_its_place(
    path: list[Any], value: object, detail: str
) -> None:
    resource = make_resource()
    element = resource
    for step in path[:-1]:
        element = element[step]
    element[path[-1]] = value

    assert detail in refuse(resource)


def test_a_refusal_names_the_place_and_never_the_value() -> None:
    resource = make_resource()
    resource["provision"]["type"] = "HIV positive"
    resource["provision"]["HIV positive"] = 1

    assert "HIV" not in refuse(resource)


@pytest.mark.parametrize(
    "terms",
    [
        Terms(
            decision=Ruling.PERMIT,
            purposes=("http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT",),
            recorded_ms=Instant(0),
            policy="urn:1",
        ),
        Terms(decision=Ruling.PERMIT, labels=("urn:x|PSY",), recorded_ms=Instant(0), policy="urn:1"),
        Terms(decision=Ruling.PERMIT, recorded_ms=Instant(2**53 - 1), policy="urn:1"),
    ],
)
def test_terms_that_fhir_would_say_otherwise_are_not_written(terms: Terms) -> None:
    with pytest.raises(Refused) as refusal:
        write_consent(terms, CEREMONY)
    assert refusal.value.reason is Reason.RESOURCE_INVALID


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)


def list_paths(element: object) -> list[list[Any]]:
    """List the way to every element of a resource."""
    if not isinstance(element, dict | list):
        return []
    keys = element.items() if isinstance(element, dict) else enumerate(element)
    return [path for key, child in keys for path in ([key], *([key, *rest] for rest in list_paths(child)))]


@given(st.sampled_from(list_paths(make_resource())), JSON)
def test_any_damage_to_a_consent_is_a_refusal_or_other_terms(path: list[Any], junk: object) -> None:
    resource = make_resource()
    element = resource
    for step in path[:-1]:
        element = element[step]
    element[path[-1]] = junk

    try:
        reason = None if isinstance(read_consent(resource), Terms) else Reason.FAULT_FOUND
    except Refused as refusal:
        reason = refusal.reason

    assert reason in {None, Reason.RESOURCE_INVALID}
