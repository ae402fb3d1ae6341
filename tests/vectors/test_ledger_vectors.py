"""Every frozen case replays; every case has its file; every type and every reason has a case."""

from pathlib import Path

import pytest

import ledger_access
import ledger_consents
import ledger_datasets
import ledger_emergencies
import ledger_envelope
import ledger_late_emergencies
import ledger_members
import ledger_models
import ledger_patients
import ledger_persons
import ledger_proposals
import ledger_records
import ledger_rules
import ledger_runs
import ledger_studies
import ledger_validators
from iamata.ledger.transactions import HANDLERS
from iamata.model.reasons import Reason
from iamata.testing.vectors import Case, build_vector, read_vector, replay_vector, write_vector

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "ledger"
FROZEN = sorted(FOLDER.rglob("*.json"))
CASES = [
    case
    for topic in (
        ledger_envelope,
        ledger_members,
        ledger_persons,
        ledger_patients,
        ledger_proposals,
        ledger_consents,
        ledger_records,
        ledger_access,
        ledger_emergencies,
        ledger_late_emergencies,
        ledger_rules,
        ledger_studies,
        ledger_datasets,
        ledger_runs,
        ledger_models,
        ledger_validators,
    )
    for case in topic.CASES.all
]
CASES += ledger_studies.OLDER.all
LEDGER_REASONS = [
    reason
    for reason in Reason
    if reason < Reason.NO_CONSENT or Reason.UNKNOWN_STUDY <= reason <= Reason.MODEL_ALREADY_EXISTS
]
UNREACHED = (
    Reason.UNKNOWN_ACCESS,
    Reason.UNKNOWN_RECIPIENT,
)
"""No rule refuses with these today."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_comes_to_what_it_says_and_is_frozen(case: Case, *, is_writing: bool) -> None:
    vector = build_vector(case)
    path = FOLDER / f"{case}.json"

    if isinstance(case.expects, Reason):
        assert vector.expected.name == case.expects.name
    else:
        assert (vector.expected.name, vector.expected.event["type"]) == ("ACCEPTED", case.expects)
    if is_writing and not path.exists():
        write_vector(vector, path)
    assert path.exists(), "run `pytest tests/vectors --write-vectors` to freeze this new case"


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_frozen_vector_replays_to_the_same_answer_and_hashes(path: Path) -> None:
    vector = read_vector(path)

    assert replay_vector(vector) == vector.expected


def test_a_frozen_vector_is_never_overwritten(tmp_path: Path) -> None:
    vector, path = build_vector(CASES[0]), tmp_path / "case.json"
    write_vector(vector, path)

    with pytest.raises(FileExistsError):
        write_vector(vector, path)


def test_every_transaction_type_has_an_accepted_case() -> None:
    accepted = {case.name for case in CASES if isinstance(case.expects, str)}
    types = {str(kind.__struct_config__.tag).replace(".", "-") for kind in HANDLERS}

    assert types - {name.removeprefix("accepts-") for name in accepted} == set()


@pytest.mark.parametrize("reason", LEDGER_REASONS, ids=lambda reason: reason.name)
def test_every_reason_of_the_ledger_has_a_case_or_is_listed_as_unreached(reason: Reason) -> None:
    has_case = any(case.expects is reason for case in CASES)

    assert has_case != (reason in UNREACHED)
