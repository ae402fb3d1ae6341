"""Laws of the decision that hold for any terms, any request and any records."""

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.consent.decide import Decision, decide
from iamata.consent.policy import ConsentOnFile, Policy, is_narrowing
from iamata.consent.profiles import PCF, STRICT, ImplicitPolicy, Profile
from iamata.consent.requests import RecordFacts, Request
from iamata.consent.terms import DATA_DAY_MIN, DataPeriod, Meaning, Period, Rule, Ruling, Selector, Terms
from iamata.model.ids import ConsentId, PatientId
from iamata.model.instants import DAY_MAX, MS_PER_DAY, Day, Instant
from iamata.model.reasons import Reason

PATIENT = PatientId("paaaaaaaaaaaaaaaaaaaaaaaaa")
AT_MS = Instant(100 * MS_PER_DAY)
TYPES = ("Observation", "Condition", "Claim")
LABELS = ("L", "N", "R", "V", "PSY", "HIV", "ETH", "OPIOIDUD", "XYZZY")
AUTHORS = ("Practitioner/x", "Practitioner/y")
ENCOUNTERS = ("Encounter/1", "Encounter/2")
RECORDS = tuple(f"Observation/{index}" for index in range(6))
RECIPIENTS = ("member:hospital-b", "member:hospital-c", "role:clinician", "role:emergency")
PURPOSES = ("TREAT", "HRESCH", "CLINTRCH", "BTG", "ETREAT", "HPAYMT")


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=3, unique=True).map(tuple)


def seldom(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """Mostly leave an element open, so that what is generated also permits something."""
    return st.one_of(st.just(()), st.just(()), some(values))


def periods() -> st.SearchStrategy[Period]:
    days = st.lists(st.integers(90, 110), min_size=2, max_size=2).map(sorted)
    bounded = days.map(lambda pair: Period(first=Day(pair[0]), last=Day(pair[1])))
    return st.one_of(st.just(Period()), st.just(Period()), st.just(Period()), bounded)


def data_periods(days: st.SearchStrategy[int]) -> st.SearchStrategy[DataPeriod]:
    """Periods of data with both ends, with one, and with none."""
    ends = st.tuples(days | st.none(), days | st.none())
    return ends.map(
        lambda pair: DataPeriod(
            first=min(pair) if None not in pair else pair[0],  # type: ignore[type-var]
            last=max(pair) if None not in pair else pair[1],  # type: ignore[type-var]
        )
    )


SELECTORS = st.one_of(
    st.builds(Selector, meaning=st.just(Meaning.INSTANCE), reference=st.sampled_from(RECORDS)),
    st.builds(Selector, meaning=st.just(Meaning.RELATED), reference=st.sampled_from(ENCOUNTERS)),
    st.builds(Selector, meaning=st.just(Meaning.AUTHORED_BY), reference=st.sampled_from(AUTHORS)),
)
ELEMENTS = {
    "decision": st.sampled_from(Ruling),
    "recipients": seldom(RECIPIENTS),
    "purposes": seldom(PURPOSES),
    "classes": seldom(TYPES),
    "labels": seldom(LABELS),
    "codes": seldom(("http://loinc.org|1", "http://loinc.org|2")),
    "data": st.one_of(st.just(()), st.just(()), st.lists(SELECTORS, min_size=1, max_size=2).map(tuple)),
    "data_period": st.just(DataPeriod()) | data_periods(st.integers(-10, 110)),
    "validity": periods(),
}
RULES = st.builds(Rule, **ELEMENTS)
TERMS = st.builds(
    Terms,
    **(ELEMENTS | {"decision": st.sampled_from([Ruling.PERMIT] * 4 + [Ruling.DENY])}),
    recorded_ms=st.integers(0, 5),
    policy=st.uuids().map(lambda uuid: f"urn:uuid:{uuid}"),
    exceptions=st.lists(RULES, max_size=2).map(tuple),
)
DENIALS = TERMS.map(lambda terms: msgspec.structs.replace(terms, decision=Ruling.DENY))
FACTS = st.builds(
    RecordFacts,
    record=st.sampled_from(RECORDS),
    resource_type=st.sampled_from(TYPES),
    labels=st.just(("N",)) | some(LABELS),
    days=st.none() | st.tuples(st.integers(-10, 100), st.integers(100, 110)),
    authors=seldom(AUTHORS),
    related=seldom(ENCOUNTERS),
    codes=st.sampled_from([(), (("http://loinc.org", "1"),), (("http://loinc.org", "2"),)]),
)
REQUESTS = st.builds(Request, recipients=some(RECIPIENTS), purpose=st.sampled_from(PURPOSES))
ON_FILE = st.lists(st.tuples(TERMS, st.lists(DENIALS, max_size=1)), max_size=2).map(
    lambda pairs: tuple(
        ConsentOnFile(consent=ConsentId(f"c{index}"), terms=terms, restrictions=tuple(restrictions))
        for index, (terms, restrictions) in enumerate(pairs)
    )
)
LISTS = st.lists(FACTS, max_size=6, unique_by=lambda facts: facts.record)


def make_policy(
    consents: tuple[ConsentOnFile, ...],
    *,
    profile: Profile = STRICT,
    implicit: ImplicitPolicy = ImplicitPolicy.DENY,
) -> Policy:
    return Policy(patient=PATIENT, profile=profile, implicit=implicit, consents=consents)


def list_released(decision: Decision) -> list[str]:
    return sorted(record for permit in decision.permits for record in permit.records)


@given(ON_FILE, REQUESTS, LISTS, st.sampled_from(ImplicitPolicy))
def test_each_record_gets_one_answer(
    consents: tuple[ConsentOnFile, ...],
    request: Request,
    records: list[RecordFacts],
    implicit: ImplicitPolicy,
) -> None:
    decision = decide(make_policy(consents, implicit=implicit), request, records, at_ms=AT_MS)

    answered = list_released(decision) + [refusal.record for refusal in decision.refusals]
    assert sorted(answered) == sorted(facts.record for facts in records)


@given(ON_FILE, REQUESTS, LISTS, st.sampled_from(ImplicitPolicy))
def test_a_record_is_decided_alike_alone_and_among_others(
    consents: tuple[ConsentOnFile, ...],
    request: Request,
    records: list[RecordFacts],
    implicit: ImplicitPolicy,
) -> None:
    policy = make_policy(consents, implicit=implicit)

    together = list_released(decide(policy, request, records, at_ms=AT_MS))

    alone = [list_released(decide(policy, request, [facts], at_ms=AT_MS)) for facts in records]
    assert together == sorted(record for released in alone for record in released)


@given(data_periods(st.integers(-3, 3)), st.tuples(st.integers(-5, 5), st.integers(-5, 5)).map(sorted))
def test_a_data_period_permits_what_lies_in_it_and_denies_what_may(
    period: DataPeriod, days: list[int]
) -> None:
    facts = RecordFacts(
        record="Observation/0", resource_type="Observation", labels=("N",), days=(days[0], days[1])
    )
    first = DATA_DAY_MIN if period.first is None else period.first
    last = DAY_MAX if period.last is None else period.last
    hits = [first <= day <= last for day in range(days[0], days[1] + 1)]

    permitted = _decide_by(Rule(decision=Ruling.PERMIT, data_period=period), facts)
    spared = _decide_by(Rule(decision=Ruling.DENY, data_period=period), facts)

    assert (permitted, spared) == (all(hits), not any(hits))


@pytest.mark.parametrize("day", [DATA_DAY_MIN - 1, -1, DAY_MAX + 1])
def test_an_open_end_reaches_every_day_there_is(day: int) -> None:
    facts = RecordFacts(record="Observation/0", resource_type="Observation", labels=("N",), days=(day, day))
    period = DataPeriod(first=0) if day > 0 else DataPeriod(last=0)

    assert _decide_by(Rule(decision=Ruling.PERMIT, data_period=period), facts)
    assert not _decide_by(Rule(decision=Ruling.DENY, data_period=period), facts)


def _decide_by(rule: Rule, facts: RecordFacts) -> bool:
    """Tell whether a record is released by a permit, or by one to which this denial is an exception."""
    is_denial = rule.decision is Ruling.DENY
    terms = Terms(
        decision=Ruling.PERMIT,
        recorded_ms=Instant(0),
        policy="urn:policy",
        data_period=DataPeriod() if is_denial else rule.data_period,
        exceptions=(rule,) if is_denial else (),
    )
    consents = (ConsentOnFile(consent=ConsentId("c"), terms=terms),)
    request = Request(recipients=(), purpose="TREAT")
    return bool(decide(make_policy(consents), request, [facts], at_ms=AT_MS).permits)


@given(TERMS, REQUESTS, LISTS)
def test_a_restriction_that_is_a_permit_denies_everything(
    terms: Terms, request: Request, records: list[RecordFacts]
) -> None:
    permit = msgspec.structs.replace(terms, decision=Ruling.PERMIT)
    consent = ConsentOnFile(consent=ConsentId("c"), terms=permit, restrictions=(permit,))

    decision = decide(make_policy((consent,)), request, records, at_ms=AT_MS)

    assert decision.permits == ()
    assert [refusal.reason for refusal in decision.refusals] == [Reason.TERMS_NOT_HELD] * len(records)
    denial = msgspec.structs.replace(terms, decision=Ruling.DENY)
    assert [is_narrowing(each) for each in (denial, permit, None)] == [True, False, False]


@given(ON_FILE, TERMS, REQUESTS, LISTS)
def test_a_restriction_never_widens(
    consents: tuple[ConsentOnFile, ...], restriction: Terms, request: Request, records: list[RecordFacts]
) -> None:
    narrowed = tuple(
        msgspec.structs.replace(consent, restrictions=(*consent.restrictions, restriction))
        for consent in consents
    )

    before = list_released(decide(make_policy(consents), request, records, at_ms=AT_MS))
    after = list_released(decide(make_policy(narrowed), request, records, at_ms=AT_MS))

    assert [record for record in after if record not in before] == []


@given(ON_FILE, RULES, REQUESTS, LISTS)
def test_an_exception_that_denies_never_widens(
    consents: tuple[ConsentOnFile, ...], rule: Rule, request: Request, records: list[RecordFacts]
) -> None:
    denial = msgspec.structs.replace(rule, decision=Ruling.DENY)
    narrowed = tuple(
        msgspec.structs.replace(
            consent,
            terms=consent.terms
            and msgspec.structs.replace(consent.terms, exceptions=(*consent.terms.exceptions, denial)),
        )
        for consent in consents
    )

    before = list_released(decide(make_policy(consents), request, records, at_ms=AT_MS))
    after = list_released(decide(make_policy(narrowed), request, records, at_ms=AT_MS))

    assert [record for record in after if record not in before] == []


@given(ON_FILE, REQUESTS, LISTS)
def test_the_strict_profile_releases_nothing_that_pcf_withholds(
    consents: tuple[ConsentOnFile, ...], request: Request, records: list[RecordFacts]
) -> None:
    strict = list_released(decide(make_policy(consents), request, records, at_ms=AT_MS))
    published = list_released(decide(make_policy(consents, profile=PCF), request, records, at_ms=AT_MS))

    assert [record for record in strict if record not in published] == []


@given(ON_FILE, REQUESTS, LISTS, st.sampled_from([PCF, STRICT]))
def test_what_is_sensitive_is_released_only_where_its_name_was_written(
    consents: tuple[ConsentOnFile, ...], request: Request, records: list[RecordFacts], profile: Profile
) -> None:
    decision = decide(make_policy(consents, profile=profile), request, records, at_ms=AT_MS)

    labels = {facts.record: facts.labels for facts in records}
    assert all(labels[record] for record in list_released(decision))
    if profile is STRICT:
        for permit in decision.permits:
            terms = next(each.terms for each in consents if each.consent == permit.consent)
            assert terms is not None
            named = [label for rule in (terms, *terms.exceptions) for label in rule.labels]
            for record in permit.records:
                if "HIV" in labels[record]:
                    assert "HIV" in named


@given(ON_FILE, REQUESTS, LISTS)
def test_one_missing_opening_denies_everything(
    consents: tuple[ConsentOnFile, ...], request: Request, records: list[RecordFacts]
) -> None:
    missing = ConsentOnFile(consent=ConsentId("missing"), terms=None)

    decision = decide(make_policy((*consents, missing)), request, records, at_ms=AT_MS)

    assert decision.permits == ()
    assert [refusal.reason for refusal in decision.refusals] == [Reason.TERMS_NOT_HELD] * len(records)


def test_a_thousand_records_are_decided_against_three_consents_in_a_few_milliseconds() -> None:
    exceptions = (
        Rule(decision=Ruling.DENY, data=(Selector(meaning=Meaning.RELATED, reference="Encounter/9"),)),
        Rule(decision=Ruling.DENY, labels=("HIV",)),
        Rule(decision=Ruling.PERMIT, labels=("PSY",), recipients=("role:clinician",)),
    )
    consents = tuple(
        ConsentOnFile(
            consent=ConsentId(f"c{index}"),
            terms=Terms(
                decision=Ruling.PERMIT, recorded_ms=Instant(0), policy=f"urn:{index}", exceptions=exceptions
            ),
        )
        for index in range(3)
    )
    records = [
        RecordFacts(
            record=f"Observation/{index}",
            resource_type=TYPES[index % 3],
            labels=(("N",), ("R", "PSY"), ("R", "HIV"))[index % 3],
            related=(f"Encounter/{index}",),
        )
        for index in range(1_000)
    ]
    request = Request(recipients=("role:clinician",), purpose="TREAT")

    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        decide(make_policy(consents), request, records, at_ms=AT_MS)
        seconds.append(time.perf_counter() - start)

    assert min(seconds) < 0.01, "3 ms on a quiet machine; three times that is a fault"


@given(st.tuples(ON_FILE, ON_FILE, ON_FILE), REQUESTS, LISTS, st.data())
def test_what_is_several_patients_is_permitted_by_all_of_them_or_not_at_all(
    on_file: tuple[tuple[ConsentOnFile, ...], ...],
    request: Request,
    records: list[RecordFacts],
    data: st.DataObject,
) -> None:
    policies = [
        msgspec.structs.replace(make_policy(consents), patient=PatientId(letter + PATIENT[1:]))
        for letter, consents in zip("pqr", on_file, strict=True)
    ]
    others = st.lists(st.sampled_from(policies[1:]), unique_by=lambda policy: policy.patient)
    shared = {facts.record: data.draw(others) for facts in records}

    decision = decide(policies[0], request, records, at_ms=AT_MS, shared=shared)

    said = {
        policy.patient: list_released(decide(policy, request, records, at_ms=AT_MS)) for policy in policies
    }
    expected = [
        record
        for record, also in shared.items()
        if all(record in said[policy.patient] for policy in (policies[0], *also))
    ]
    assert list_released(decision) == sorted(expected)
    assert sorted(expected + [one.record for one in decision.refusals]) == sorted(shared)
    for permit in decision.permits:
        for policy in policies[1:]:
            theirs = [one.records for one in permit.others if one.patient == policy.patient]
            concerned = [record for record in permit.records if policy in shared[record]]
            assert sorted(sum(theirs, ())) == sorted(concerned)
