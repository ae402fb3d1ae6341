"""`iamata records validate` says what is wrong, in lines or as OperationOutcomes, and by its exit code."""

import json
from pathlib import Path
from typing import Final

from iamata.cli.validation import ISSUES_SHOWN_MAX
from iamata.fhir.validation.checking import validate
from iamata.model.reasons import ReasonClass
from iamata.testing.stage import Stage, call

RIGHT: Final = {"resourceType": "Patient", "gender": "female"}
WRONG: Final = {"resourceType": "Patient", "gender": "unheard-of"}


def write_lines(path: Path, *resources: object) -> Path:
    """Write NDJSON."""
    path.write_text("".join(f"{json.dumps(each)}\n" for each in resources))
    return path


def test_what_is_right_is_counted_and_the_command_succeeds(tmp_path: Path) -> None:
    answer = call("records", "validate", write_lines(tmp_path / "a.ndjson", RIGHT, RIGHT))

    assert answer.code == 0
    assert "Resources checked: 2" in answer.out
    assert "something is wrong: 0." in answer.out


def test_what_is_wrong_is_named_by_file_line_and_path_and_never_repeated(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.ndjson", RIGHT, WRONG)

    answer = call("records", "validate", path)

    assert answer.code == ReasonClass.INVALID.value
    expected = "a code of the value set administrative-gender is expected"
    assert f"{path}, line 2: Patient.gender: {expected}" in answer.out.splitlines()
    assert "unheard-of" not in answer.out + answer.err


def test_machines_get_outcomes_that_are_valid_themselves(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.ndjson", WRONG, RIGHT)

    answer = call("records", "validate", path, tmp_path / "none.json", "--json")

    assert answer.code == ReasonClass.INVALID.value
    document = answer.document
    assert (document["documents"], document["resources"], document["wrong"]) == (3, 2, 2)
    first, second = document["outcomes"]
    assert (first["file"], first["index"]) == (str(path), 0)
    assert first["outcome"]["issue"][0]["expression"] == ["Patient.gender"]
    assert second["outcome"]["issue"][0]["code"] == "not-found"
    assert [validate(each["outcome"]) for each in document["outcomes"]] == [(), ()]


def test_people_are_shown_so_many_issues_and_told_of_more(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.ndjson", *[WRONG] * (ISSUES_SHOWN_MAX + 1))

    answer = call("records", "validate", path)

    assert answer.out.count("Patient.gender") == ISSUES_SHOWN_MAX
    assert "--json lists all" in answer.err


def test_an_import_is_strict_unless_it_is_asked_to_be_lenient(stage: Stage) -> None:
    path = write_lines(stage.folder / "a.ndjson", {"resourceType": "Patient", "id": "odd", "gender": "f"})
    command = ("records", "import", "--member", "north", path)

    strict = stage(*command)

    assert strict.code == ReasonClass.INVALID.value
    assert "Patient.gender: a code of the value set" in strict.err

    lenient = stage(*command, "--lenient")

    assert lenient.code == 0
    assert "Records added: 1" in lenient.out
    assert "Kept although they break FHIR's structure: 1" in lenient.err
