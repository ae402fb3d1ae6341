"""Bundles become records with resolved references, or are refused whole or entry by entry."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.fhir.bundles import BUNDLE_COMMAS_MAX, BUNDLE_ENTRIES_MAX
from iamata.fhir.describing import PATIENTS_MAX
from iamata.fhir.preparing import Batch, Known, prepare_document
from iamata.fhir.resources import compact
from iamata.intake.rules import load_rules
from iamata.model.reasons import Reason, Refused

_RULES = load_rules()
_A = "urn:uuid:00000000-0000-4000-8000-00000000000a"
_B = "urn:uuid:00000000-0000-4000-8000-00000000000b"

Kept = dict[tuple[str, str | None, str], list[str]]


def _prepare(
    document: Any,
    kept: Kept | None = None,
    only: frozenset[int] | None = None,
    strangers: Sequence[str] = (),
) -> Batch:
    def find_identifier(resource_type: str, system: str | None, value: str) -> Sequence[str]:
        return (kept or {}).get((resource_type, system, value), ())

    text = document if isinstance(document, bytes) else msgspec.json.encode(document)
    known = Known(find_identifier, is_patient_known=lambda ref: ref not in strangers)
    return prepare_document(compact(text), known=known, rules=_RULES, only=only)


def _entry(resource: Any, full_url: str = "", **request: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"resource": resource}
    if full_url:
        entry["fullUrl"] = full_url
    if request:
        entry["request"] = {"url": resource["resourceType"]} | request
    return entry


def _bundle(*entries: Any, kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def _observation(reference: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "subject": {"reference": reference}} | elements


def _names(batch: Batch) -> list[str]:
    return [f"{record.resource_type}/{record.resource_id}" for record in batch.prepared]


def test_urn_references_become_names_and_no_other_byte_changes() -> None:
    text = (
        b'{"resourceType":"Bundle","type":"transaction","entry":['
        b'{"fullUrl":"urn:uuid:a","resource":{"resourceType":"Patient","id":"p"},"request":{"method":"POST"}},'
        b'{"fullUrl":"urn:uuid:b","resource":{"resourceType":"Observation","identifier":[{"value":"urn:uuid:a"}],'
        b'"valueQuantity":{"value":1.50},"subject":{"reference":"urn:uuid:a"},"note":[{"text":"\\"reference\\":\\"urn:uuid:a\\""}]}}]}'
    )
    batch = _prepare(text)
    assert batch.faults == ()
    assert batch.prepared[1].body == (
        b'{"resourceType":"Observation","identifier":[{"value":"urn:uuid:a"}],"valueQuantity":{"value":1.50},'
        b'"subject":{"reference":"Patient/p"},"note":[{"text":"\\"reference\\":\\"urn:uuid:a\\""}]}'
    )
    assert batch.prepared[1].patients == ("Patient/p",)
    assert batch.prepared[1].resource_id == "b"


def test_entries_may_refer_to_each_other_in_circles() -> None:
    batch = _prepare(
        _bundle(
            _entry({"resourceType": "Patient", "link": [{"other": {"reference": _B}}]}, _A),
            _entry({"resourceType": "Patient", "link": [{"other": {"reference": _A}}]}, _B),
        )
    )
    first, second = _names(batch)
    assert [record.patients for record in batch.prepared] == [(first, second), (second, first)]


def test_contained_circles_are_not_followed() -> None:
    looped = {"resourceType": "Condition", "id": "c", "subject": {"reference": "#c"}}
    batch = _prepare(_observation("Patient/p", contained=[looped]))
    assert batch.prepared[0].patients == ("Patient/p",)


def test_a_conditional_reference_finds_what_is_kept() -> None:
    kept: Kept = {("Practitioner", "http://s", "1"): ["dr"]}
    reference = {"reference": "Practitioner?identifier=http://s|1"}
    batch = _prepare(_bundle(_entry(_observation("Patient/p", performer=[reference]))), kept)
    assert b'"performer":[{"reference":"Practitioner/dr"}]' in batch.prepared[0].body
    assert batch.prepared[0].facts.authors == ("Practitioner/dr",)


@pytest.mark.parametrize("spelled", [b"http:\\/\\/s|1", b"http%3A%2F%2Fs%7C1", b"http:\\u002f/s|1"])
def test_a_conditional_reference_may_be_escaped(spelled: bytes) -> None:
    text = b'{"resourceType":"Claim","provider":{"reference":"Organization?identifier=' + spelled + b'"}}'
    batch = _prepare(text, {("Organization", "http://s", "1"): ["o"]})
    assert batch.prepared[0].body == b'{"resourceType":"Claim","provider":{"reference":"Organization/o"}}'


def test_a_conditional_reference_finds_an_entry_of_its_own_bundle() -> None:
    doctor = {"resourceType": "Practitioner", "id": "dr", "identifier": [{"system": "s", "value": "1"}]}
    claim = {"resourceType": "Claim", "provider": {"reference": "Practitioner?identifier=s|1"}}
    batch = _prepare(_bundle(_entry(claim), _entry(doctor)))
    assert batch.prepared[0].body.endswith(b'"provider":{"reference":"Practitioner/dr"}}')


@pytest.mark.parametrize(
    ("reference", "is_waiting"),
    [
        ("Practitioner?identifier=s|unknown", True),
        ("Practitioner?identifier=s|twice", False),
        ("Practitioner?name=x", False),
        ("urn:uuid:nobody", False),
        ("urn:oid:1.2", False),
    ],
)
def test_a_reference_without_one_target_is_unresolved(reference: str, *, is_waiting: bool) -> None:
    kept: Kept = {("Practitioner", "s", "twice"): ["a", "b"]}
    batch = _prepare(_bundle(_entry(_observation("Patient/p", performer=[{"reference": reference}]))), kept)
    assert batch.prepared == ()
    assert [(fault.index, fault.reason, fault.is_waiting) for fault in batch.faults] == [
        (0, Reason.REFERENCE_UNRESOLVED, is_waiting)
    ]


def test_references_to_the_same_server_become_relative() -> None:
    base = "https://server.example/fhir/"
    batch = _prepare(
        _bundle(_entry(_observation(base + "Patient/p", id="o"), base + "Observation/o"), kind="searchset")
    )
    assert batch.prepared[0].patients == ("Patient/p",)


def test_an_attachment_of_the_bundle_is_linked() -> None:
    document = {
        "resourceType": "DocumentReference",
        "subject": {"reference": "Patient/p"},
        "content": [{"attachment": {"url": _A}}],
    }
    batch = _prepare(_bundle(_entry(document), _entry({"resourceType": "Binary", "id": "file"}, _A)))
    assert b'"url":"Binary/file"' in batch.prepared[0].body


def test_one_bad_entry_keeps_a_transaction_out() -> None:
    good, bad = _entry(_observation("Patient/p")), _entry({"resourceType": "Nonsense"})
    batch = _prepare(_bundle(good, bad, bad))
    assert batch.prepared == ()
    assert [(fault.index, fault.reason) for fault in batch.faults] == [
        (1, Reason.RESOURCE_INVALID),
        (2, Reason.RESOURCE_INVALID),
    ]


@pytest.mark.parametrize(
    "bad", [{"resource": {"resourceType": "Nonsense"}}, {"fullUrl": 7}, {}, 7, None, []]
)
def test_entries_of_a_batch_stand_alone(bad: Any) -> None:
    batch = _prepare(_bundle(_entry(_observation("Patient/p", id="o")), bad, kind="batch"))
    assert _names(batch) == ["Observation/o"]
    assert [(fault.index, fault.reason) for fault in batch.faults] == [(1, Reason.RESOURCE_INVALID)]


def test_a_record_that_stands_twice_is_refused() -> None:
    patient = _entry({"resourceType": "Patient", "id": "p"})
    batch = _prepare(_bundle(patient, patient, kind="batch"))
    assert _names(batch) == ["Patient/p"]
    assert [fault.index for fault in batch.faults] == [1]
    assert _prepare(_bundle(patient, patient)).prepared == ()


def test_a_condition_that_finds_a_record_means_that_record() -> None:
    search = "identifier=s|1"
    doctor = _entry({"resourceType": "Practitioner", "id": "new"}, _A, method="POST", ifNoneExist=search)
    claim = _entry({"resourceType": "Claim", "id": "c", "provider": {"reference": _A}}, _B)
    again = _prepare(_bundle(doctor, claim), {("Practitioner", "s", "1"): ["old"]})
    assert _names(again) == ["Claim/c"]
    assert again.existing == 1
    assert again.prepared[0].body.endswith(b'"provider":{"reference":"Practitioner/old"}}')
    assert _names(_prepare(_bundle(doctor, claim))) == ["Practitioner/new", "Claim/c"]


def test_put_keeps_its_id_and_other_verbs_bring_nothing() -> None:
    batch = _prepare(
        _bundle(
            _entry({"resourceType": "Patient", "id": "p"}, method="PUT", url="Patient/p"),
            _entry({"resourceType": "Patient"}, method="PUT", url="Patient/q"),
            _entry({"resourceType": "Patient", "id": "p"}, method="PUT", url="Patient/other"),
            _entry({"resourceType": "Patient", "id": "r"}, method="PUT", url="Patient?identifier=1"),
            _entry({"resourceType": "Patient", "id": "s"}, method="DELETE", url="Patient/s"),
            _entry({"resourceType": "Patient", "id": "t"}, method="POST", url="Observation"),
            kind="batch",
        )
    )
    assert _names(batch) == ["Patient/p", "Patient/q"]
    assert [fault.index for fault in batch.faults] == [2, 3, 4, 5]


def test_a_record_without_id_gets_the_same_one_each_time() -> None:
    document = _observation("Patient/p")
    assert _names(_prepare(document)) == _names(_prepare(document))
    assert _names(_prepare(document)) != _names(_prepare(_observation("Patient/q")))


def test_remarks_in_a_search_result_are_no_records() -> None:
    remark = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
    assert _prepare(_bundle(remark, kind="searchset")) == Batch()


@pytest.mark.parametrize("kind", ["history", "transaction-response", "subscription", ""])
def test_a_bundle_of_another_kind_is_refused(kind: str) -> None:
    batch = _prepare(_bundle(kind=kind))
    assert [(fault.index, fault.reason) for fault in batch.faults] == [(None, Reason.RESOURCE_INVALID)]


def test_only_some_entries_of_a_batch_can_be_asked_for() -> None:
    patients = [_entry({"resourceType": "Patient", "id": f"p{number}"}) for number in range(4)]
    batch = _prepare(_bundle(*patients, {}, kind="batch"), only=frozenset({1, 3}))
    assert _names(batch) == ["Patient/p1", "Patient/p3"]
    assert batch.faults == ()


_LEAVES = st.sampled_from(
    ["Patient", "Bundle", "batch", "transaction", _A, "Patient/p", "#", "?", "POST", "", 7, None]
)
_KEYS = st.sampled_from(
    [
        "resourceType",
        "type",
        "entry",
        "resource",
        "fullUrl",
        "request",
        "method",
        "url",
        "id",
        "reference",
        "subject",
    ]
)
_JUNK = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(_JUNK, st.sampled_from(["transaction", "batch", "collection"]))
def test_junk_is_refused_and_never_crashes(junk: Any, kind: str) -> None:
    for document in (junk, _bundle(junk, kind=kind), _bundle(_entry(junk) | {"fullUrl": _A}, kind=kind)):
        try:
            batch = _prepare(document)
        except Refused as refused:
            assert refused.reason is Reason.RESOURCE_INVALID
        else:
            assert kind != "transaction" or not (batch.faults and batch.prepared)


@given(st.text(max_size=40))
def test_any_reference_is_kept_resolved_or_refused(reference: str) -> None:
    claim = {"resourceType": "Claim", "provider": {"reference": reference}}
    batch = _prepare(claim)
    for record in batch.prepared:
        assert msgspec.json.decode(record.body) == claim
    assert all(fault.reason is Reason.REFERENCE_UNRESOLVED for fault in batch.faults)


@pytest.mark.parametrize("filler", [b"1,", b"{},", b"[],"])
def test_an_envelope_full_of_nothing_is_refused_at_once(filler: bytes) -> None:
    for count in (BUNDLE_COMMAS_MAX, BUNDLE_ENTRIES_MAX):
        text = b'{"resourceType":"Bundle","type":"batch","entry":[' + filler * count + b"1]}"
        batch = _prepare(text)
        assert [(fault.index, fault.reason) for fault in batch.faults] == [(None, Reason.INPUT_TOO_LARGE)]


_OF_TWO = {"performer": [{"reference": "Patient/b"}]}


def test_a_record_about_two_patients_names_both_the_most_direct_first() -> None:
    batch = _prepare(_observation("Patient/a", id="1", **_OF_TWO))
    assert [record.patients for record in batch.prepared] == [("Patient/a", "Patient/b")]


def test_a_record_of_more_patients_than_get_a_copy_is_refused() -> None:
    performers = [{"reference": f"Patient/{number}"} for number in range(PATIENTS_MAX)]
    for count, reasons in ((PATIENTS_MAX - 1, []), (PATIENTS_MAX, [Reason.INPUT_TOO_LARGE])):
        batch = _prepare(_observation("Patient/a", id="1", performer=performers[:count]))
        assert [fault.reason for fault in batch.faults] == reasons


def test_one_patient_named_twice_is_one() -> None:
    batch = _prepare(_observation("Patient/b", **_OF_TWO) | {"id": "1"})
    assert [record.patients for record in batch.prepared] == [("Patient/b",)]


def _patient(name: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": name}


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_record_about_a_stranger_waits_and_a_transaction_with_it(kind: str) -> None:
    bundle = _bundle(
        _entry(_observation("Patient/a", id="1"), method="POST"),
        _entry(_observation("Patient/a", id="2", **_OF_TWO), method="POST"),
        kind=kind,
    )
    batch = _prepare(bundle, strangers=["Patient/b"])
    assert [(fault.index, fault.reason, fault.is_waiting) for fault in batch.faults] == [
        (1, Reason.PATIENT_NOT_IMPORTED, True)
    ]
    assert _names(batch) == (["Observation/1"] if kind == "batch" else [])


def test_a_patient_who_comes_along_is_no_stranger_wherever_it_stands() -> None:
    bundle = _bundle(_entry(_observation("Patient/a", id="1")), _entry(_patient("a")), kind="collection")
    batch = _prepare(bundle, strangers=["Patient/a"])
    assert batch.faults == ()
    assert _names(batch) == ["Observation/1", "Patient/a"]


def test_a_patient_that_is_refused_leaves_its_records_without_a_patient() -> None:
    broken = _patient("a") | {"link": [{"other": {"reference": "urn:uuid:nobody"}}]}
    bundle = _bundle(_entry(_observation("Patient/a", id="1")), _entry(broken), kind="batch")
    batch = _prepare(bundle, strangers=["Patient/a"])
    assert [(fault.index, fault.reason) for fault in batch.faults] == [
        (0, Reason.PATIENT_NOT_IMPORTED),
        (1, Reason.REFERENCE_UNRESOLVED),
    ]


def test_whom_a_patient_is_linked_to_need_not_be_known() -> None:
    linked = _patient("a") | {"link": [{"other": {"reference": "Patient/b"}, "type": "seealso"}]}
    assert _names(_prepare(linked, strangers=["Patient/a", "Patient/b"])) == ["Patient/a"]
