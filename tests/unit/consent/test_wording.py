"""What a patient reads before signing says all of what will be decided."""

import pytest

from iamata.consent.labels import CATEGORIES
from iamata.consent.profiles import PCF
from iamata.consent.terms import Meaning, Period, Rule, Ruling, Selector, Terms
from iamata.consent.wording import HOW_TO_UNDO, ONLY_WHAT_IS_NAMED, describe
from iamata.model.instants import Instant, parse_day

TERMS = Terms(
    decision=Ruling.PERMIT,
    recipients=("member:hospital-b",),
    purposes=("TREAT", "HPAYMT"),
    validity=Period(last=parse_day("2027-06-30")),
    recorded_ms=Instant(0),
    policy="urn:policy",
    exceptions=(
        Rule(
            decision=Ruling.DENY, data=(Selector(meaning=Meaning.AUTHORED_BY, reference="Practitioner/x"),)
        ),
        Rule(
            decision=Ruling.PERMIT, recipients=("role:emergency",), purposes=("BTG",), labels=("R", "PSY")
        ),
    ),
)
EMERGENCY = (
    "Except: everyone who acts as emergency may read your ordinary and restricted records and your records "
    "about psychiatry, for a declared emergency (breaking the glass)."
)


def test_a_consent_says_who_sees_what_for_what_how_long_and_how_to_undo_it() -> None:
    names = {"member:hospital-b": "St. Anna Hospital", "Practitioner/x": "Dr. X"}

    assert describe(TERMS, names=names) == [
        "St. Anna Hospital may read your ordinary records, for treatment or payment.",
        "Except: Nobody may read your records, namely what Dr. X wrote, for any purpose.",
        EMERGENCY,
        ONLY_WHAT_IS_NAMED,
        "This holds until the end of 2027-06-30.",
        HOW_TO_UNDO,
    ]


def test_a_profile_that_needs_no_names_does_not_promise_any() -> None:
    sentences = describe(TERMS, profile=PCF)

    assert sentences[0].startswith("member:hospital-b may read your records,")
    assert not any("Nothing about" in sentence for sentence in sentences)


def test_an_open_consent_is_said_to_be_open() -> None:
    terms = Terms(decision=Ruling.PERMIT, recorded_ms=Instant(0), policy="urn:policy")

    sentences = describe(terms)

    assert sentences[0] == "Every member of the network may read your ordinary records, for any purpose."
    assert "This holds until you change it." in sentences


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_that_is_named_is_said_in_plain_words(category: str) -> None:
    terms = Terms(
        decision=Ruling.PERMIT, labels=CATEGORIES[category][:1], recorded_ms=Instant(0), policy="urn:policy"
    )

    assert f"your records about {category}" in describe(terms)[0]


def test_a_denial_reaches_up_and_says_so() -> None:
    terms = Terms(decision=Ruling.DENY, labels=("R",), recorded_ms=Instant(0), policy="urn:policy")

    assert (
        describe(terms)[0]
        == "Nobody may read your restricted and very restricted records, for any purpose."
    )
