"""A bundle is checked entry by entry; what cannot be read in it is named, and the rest is checked."""

import json
from typing import Any, Final

import pytest

from iamata.fhir.bundles import BUNDLE_ENTRIES_MAX
from iamata.fhir.resources import RESOURCE_DEPTH_MAX, compact
from iamata.fhir.validation.documents import validate_document
from iamata.fhir.validation.issues import IssueType, state_refusal, write_outcome
from iamata.model.reasons import Reason, Refused

PATIENT: Final = {"resourceType": "Patient", "gender": "female"}


def find(document: Any) -> list[tuple[str, IssueType]]:
    """List what is wrong with a document, given as text or as what JSON is made of."""
    text = document if isinstance(document, str) else json.dumps(document)
    found = validate_document(compact(text.encode()))
    return [(issue.path, issue.type) for issues in found for issue in issues]


def bundle(*entries: object, **elements: object) -> dict[str, object]:
    """Make a bundle."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [*entries]} | elements


def test_each_entry_is_checked_and_the_envelope_too() -> None:
    wrong = {"resourceType": "Patient", "gender": "f"}

    assert find(bundle({"resource": PATIENT})) == []
    assert find(bundle({"resource": PATIENT}, {"resource": wrong}, {"fullUrl": 5}, type="heap")) == [
        ("Bundle.type", IssueType.CODE),
        ("Bundle.entry[1].resource.gender", IssueType.CODE),
        ("Bundle.entry[2].fullUrl", IssueType.STRUCTURE),
    ]


def test_a_resource_alone_is_checked() -> None:
    assert find(PATIENT) == []
    assert find({"resourceType": "Patient", "gender": 1}) == [("Patient.gender", IssueType.STRUCTURE)]


@pytest.mark.parametrize(
    ("entries", "kind"), [([], IssueType.STRUCTURE), ({}, IssueType.STRUCTURE), (None, IssueType.STRUCTURE)]
)
def test_entries_that_are_no_list_of_some_are_named(entries: object, kind: IssueType) -> None:
    assert find(bundle(entry=entries)) == [("Bundle.entry", kind)]


def test_what_cannot_be_read_in_an_entry_is_named_there() -> None:
    deep = "[" * RESOURCE_DEPTH_MAX + "]" * RESOURCE_DEPTH_MAX
    entries = ["17", '{"fullUrl": "urn:x", "fullUrl": "urn:y"}', f'{{"resource": {deep}}}', '{"a": 1e999}']
    text = f'{{"resourceType": "Bundle", "type": "collection", "entry": [{", ".join(entries)}]}}'

    assert find(text) == [
        ("Bundle.entry[0]", IssueType.INVALID),
        ("Bundle.entry[1]", IssueType.INVALID),
        ("Bundle.entry[2]", IssueType.TOO_COSTLY),
        ("Bundle.entry[3]", IssueType.INVALID),
    ]


def test_a_bundle_in_a_bundle_is_a_resource_like_any_other() -> None:
    inner = bundle({"resource": {"resourceType": "Patient", "gender": "f"}})

    assert find(bundle({"resource": inner})) == [
        ("Bundle.entry[0].resource.entry[0].resource.gender", IssueType.CODE)
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", Reason.RESOURCE_INVALID),
        ("{}", Reason.RESOURCE_INVALID),
        ('{"resourceType": "Patient", "a": 1, "a": 2}', Reason.RESOURCE_INVALID),
        ('{"resourceType": "Patient", "a": ' + "[" * 70 + "]" * 70 + "}", Reason.INPUT_TOO_DEEP),
        (
            '{"resourceType": "Bundle", "entry": [' + "1," * BUNDLE_ENTRIES_MAX + "1]}",
            Reason.INPUT_TOO_LARGE,
        ),
    ],
)
def test_what_cannot_be_read_at_all_is_refused(text: str, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        find(text)
    assert caught.value.reason is reason


def test_what_was_refused_is_told_without_a_path_that_nobody_knows() -> None:
    outcome = write_outcome([state_refusal(Refused(Reason.FILE_NOT_FOUND))])

    assert outcome["issue"] == [{"severity": "error", "code": "not-found", "diagnostics": "file not found"}]
