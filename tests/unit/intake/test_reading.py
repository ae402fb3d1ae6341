"""Resources are read to be looked at: of one type, references resolved where they can be, faults named."""

import json
from pathlib import Path
from typing import Any

from iamata.intake.limits import Limits
from iamata.intake.pipeline import Problem
from iamata.intake.progress import Progress
from iamata.intake.reading import TOGETHER, read_resources
from iamata.model.reasons import Reason

BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient"}, "request": {"method": "POST"}},
        {
            "fullUrl": "urn:uuid:2",
            "resource": {
                "resourceType": "Observation",
                "subject": {"reference": "urn:uuid:1"},
                "encounter": {"reference": "urn:uuid:elsewhere"},
                "performer": [{"reference": "Practitioner?identifier=urn:a|17"}],
                "valueQuantity": {"value": 1.5},
            },
            "request": {"method": "POST"},
        },
        {"resource": {"resourceType": "Nonsense"}},
    ],
}


def read(*paths: Path, kind: str = "Observation", **limits: int) -> tuple[list[Any], list[Problem]]:
    found: list[Any] = []
    problems: list[Problem] = []
    for chunk in read_resources(paths, kind, limits=Limits(**limits), progress=Progress()):
        if isinstance(chunk, Problem):
            problems.append(chunk)
        else:
            assert len(chunk) <= TOGETHER
            found += chunk
    return found, problems


def test_references_within_a_bundle_are_resolved_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(BUNDLE), encoding="utf-8")

    (observation,), problems = read(tmp_path)

    assert observation["id"] == "2"
    assert observation["subject"] == {"reference": "Patient/1"}
    assert observation["encounter"] == {"reference": "urn:uuid:elsewhere"}
    assert observation["performer"] == [{"reference": "Practitioner?identifier=urn:a|17"}]
    assert str(observation["valueQuantity"]["value"]) == "1.5"
    assert [(problem.index, problem.reason) for problem in problems] == [(2, Reason.RESOURCE_INVALID)]


def test_lines_of_other_types_are_passed_over_and_bad_ones_named(tmp_path: Path) -> None:
    lines = [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Observation", "id": "o"}]
    text = "\n".join(json.dumps(line) for line in lines) + "\nnot json\n[]\n"
    (tmp_path / "l.ndjson").write_text(text, encoding="utf-8")

    found, problems = read(tmp_path / "l.ndjson", kind="Patient")

    assert [one["id"] for one in found] == ["p"]
    assert [problem.index for problem in problems] == [2, 3]


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff")
    (tmp_path / "b.json").write_text(
        json.dumps({"resourceType": "Observation", "id": "o"}), encoding="utf-8"
    )

    found, problems = read(tmp_path / "a.json", tmp_path / "none.json", tmp_path / "b.json")

    assert len(found) == 1
    assert [Path(problem.source).name for problem in problems] == ["a.json", "none.json"]


def test_what_is_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(BUNDLE), encoding="utf-8")

    found, (problem,) = read(tmp_path, document_bytes_max=100)

    assert found == []
    assert problem.reason is Reason.INPUT_TOO_LARGE
