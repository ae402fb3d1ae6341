"""Terms have one spelling, and limits."""

import pytest

from iamata.consent.terms import (
    EXCEPTIONS_MAX,
    TERMS_BYTES_MAX,
    DataPeriod,
    Meaning,
    Period,
    Rule,
    Ruling,
    Selector,
    Terms,
    decode_terms,
    inherit,
)
from iamata.model.canonical import decode_strict, encode_struct
from iamata.model.instants import Day, Instant
from iamata.model.reasons import Reason, Refused

TERMS = Terms(
    decision=Ruling.PERMIT,
    recipients=("member:hospital-b", "person:daaaaaaaaaaaaaaaaaaaaaaaaa", "role:clinician"),
    purposes=("TREAT",),
    labels=("N", "PSY"),
    codes=("http://loinc.org|8867-4",),
    data=(Selector(meaning=Meaning.AUTHORED_BY, reference="Practitioner/x"),),
    data_period=DataPeriod(first=-1),
    validity=Period(last=Day(30_000)),
    recorded_ms=Instant(5),
    policy="https://example.org/policies/sharing/1",
    exceptions=(Rule(decision=Ruling.DENY, classes=("Claim",)),),
)


def refuse(raw: bytes) -> Reason:
    with pytest.raises(Refused) as refusal:
        decode_terms(raw)
    return refusal.value.reason


def test_terms_are_ledger_json_with_one_spelling() -> None:
    raw = encode_struct(TERMS)

    assert decode_terms(raw) == TERMS
    assert decode_strict(raw)["policy"] == TERMS.policy


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", Reason.MALFORMED),
        (b"[]", Reason.MALFORMED),
        (b'{"decision":"permit"}', Reason.MALFORMED),
        (encode_struct(TERMS) + b" ", Reason.NOT_CANONICAL),
        (encode_struct(TERMS)[:-1] + b',"version":1}', Reason.NOT_CANONICAL),
        (encode_struct(TERMS)[:-1] + b',"version":2}', Reason.MALFORMED),
        (encode_struct(TERMS)[:-1] + b',"zeal":1}', Reason.MALFORMED),
        (encode_struct(TERMS).replace(b'"permit"', b'"maybe"'), Reason.MALFORMED),
        (encode_struct(TERMS).replace(b"member:hospital-b", b"member:Hospital"), Reason.MALFORMED),
        (encode_struct(TERMS).replace(b"member:hospital-b", b"member:hospital-b\\n"), Reason.MALFORMED),
        (encode_struct(TERMS).replace(b"member:hospital-b", b"Organization/..%2f"), Reason.MALFORMED),
        (encode_struct(TERMS).replace(b'"last":30000', b'"last":200000'), Reason.MALFORMED),
        (encode_struct(TERMS).replace(b'"last":30000', b'"first":3,"last":2'), Reason.MALFORMED),
        (encode_struct(TERMS).replace(b'"last":30000', b'"first":-1'), Reason.MALFORMED),
        (encode_struct(TERMS).replace(b'"first":-1', b'"first":-200001'), Reason.MALFORMED),
        (b"[" * TERMS_BYTES_MAX, Reason.MALFORMED),
        (b" " * (TERMS_BYTES_MAX + 1), Reason.TOO_LARGE),
    ],
)
def test_other_bytes_are_refused(raw: bytes, reason: Reason) -> None:
    assert refuse(raw) is reason


def test_exceptions_have_a_limit_and_no_exceptions_of_their_own() -> None:
    exceptions = [
        f'{{"decision":"deny","classes":["Claim{"x" * index}"]}}' for index in range(EXCEPTIONS_MAX + 1)
    ]
    head = b'{"decision":"permit","exceptions":[%s],"policy":"urn:1","recorded_ms":1}'

    assert refuse(head % ",".join(exceptions).encode()) is Reason.MALFORMED
    assert refuse(head % b'{"decision":"deny","exceptions":[]}') is Reason.MALFORMED


def test_a_permit_as_exception_takes_what_it_leaves_open_from_its_rule() -> None:
    exception = inherit(Rule(decision=Ruling.PERMIT, labels=("HIV",)), TERMS)

    assert exception.labels == ("HIV",)
    assert exception.recipients == TERMS.recipients
    assert exception.purposes == TERMS.purposes
    assert exception.data == TERMS.data
    assert exception.data_period == TERMS.data_period


def test_a_denial_as_exception_means_all_that_it_leaves_open() -> None:
    denial = Rule(decision=Ruling.DENY, labels=("HIV",))

    assert inherit(denial, TERMS) == denial
