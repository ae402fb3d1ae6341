"""Questions on the command line: one answer to one question, with its price, and clear refusals."""

import csv
import json

import pytest

from asking_story import AskingStory
from iamata.testing.study_stage import HOSPITALS

FAR = 8
"""Standard deviations: no noise is that large."""


def read_exactly(asked: AskingStory) -> list[tuple[float, int]]:
    """Read marker and outcome of everybody who takes part."""
    rows = []
    for member in HOSPITALS:
        with asked.stage.table(member).open(encoding="utf-8", newline="") as file:
            rows += [row for row in csv.DictReader(file) if row["patient"] != "nobody"]
    return [(float(row["marker"]), int(row["ill"])) for row in rows]


def test_a_count_is_off_by_its_noise_alone(asked: AskingStory) -> None:
    said = asked.heard["study count"]
    exact = sum(marker >= 0 for marker, _ in read_exactly(asked))

    assert abs(said["result"]["value"] - exact) < FAR * said["deviation"]
    assert said["result"]["low"] < said["result"]["value"] < said["result"]["high"]
    assert said["result"]["high"] - said["result"]["low"] < 5 * said["deviation"] + 2
    assert (said["is_new"], said["is_suppressed"], said["status"]) == (True, False, "current")
    assert (said["epsilon"], said["budget_left"], said["sites"]) == (2.4, 7.5, list(HOSPITALS))
    assert said["question"] == "How many patients: marker at least 0 and smokes is no or yes?"


def test_the_same_question_in_other_words_is_answered_for_nothing(asked: AskingStory) -> None:
    first, again = asked.heard["study count"], asked.moments["again"]

    assert again == first | {"is_new": False}


def test_a_question_whose_home_was_closed_too_early_is_answered_by_the_same_run(asked: AskingStory) -> None:
    said = asked.moments["too few"]

    assert (said["run"], said["is_new"]) == (asked.moments["begun"]["run"], False)
    assert said["budget_left"] == 5.1


def test_a_rate_tells_its_counts_and_costs_as_much(asked: AskingStory) -> None:
    said = asked.heard["study ask"]
    everybody = read_exactly(asked)
    exact = sum(ill for _, ill in everybody) / len(everybody)

    so, others = (one["value"] for one in said["counts"])
    assert said["result"]["value"] == so / (so + others)
    assert abs(so - exact * len(everybody)) < FAR * said["deviation"]
    assert said["budget_left"] == 2.7


def test_a_ratio_and_its_inverse_are_one_answer_told_as_it_was_asked(asked: AskingStory) -> None:
    one, other = asked.moments["ratio"], asked.moments["inverse"]

    assert (other["answer"], other["is_new"], other["budget_left"]) == (one["answer"], False, 0.3)
    assert one["question"].startswith("Of smokes is yes:")
    assert other["question"].startswith("Of smokes is no:")
    assert other["counts"] == one["counts"][2:] + one["counts"][:2]


def test_a_small_count_is_not_told_and_says_so(asked: AskingStory) -> None:
    said = asked.moments["too few"]

    if said["is_suppressed"]:
        assert (said["result"], said["counts"]) == (None, [])
    else:  # once in a hundred times noise alone makes ten of nobody
        assert said["result"]["value"] >= 10


def test_people_are_told_what_the_interval_is_and_that_it_cost_nothing(asked: AskingStory) -> None:
    assert "Of all patients: what part is ill is 1?" in asked.moments["for people"]["out"]
    assert "for nothing" in asked.moments["for people"]["out"]
    assert "With 95% confidence" in asked.moments["for people"]["out"]
    assert "counted at east, north, south." in asked.moments["for people"]["out"]


@pytest.mark.parametrize(
    ("moment", "code", "reason", "detail"),
    [
        ("at two sites", 7, "TOO_FEW_SITES", "fewer than three"),
        ("without a site", 7, "TOO_FEW_SITES", "fewer than three"),
        ("without who is no site", 3, "NOT_A_SITE", "east, north, south, and not institute"),
        ("without no name", 2, "INPUT_INVALID", ""),
        ("no such column", 2, "QUESTION_INVALID", "no column 'weight'"),
        ("no such word", 2, "QUESTION_INVALID", "smokes is never 'often'"),
        ("beyond the bounds", 2, "QUESTION_INVALID", "marker lies between -5 and 5"),
        ("no condition", 2, "INPUT_INVALID", "COLUMN=WORD"),
        ("no number", 2, "INPUT_INVALID", "no number"),
        ("no question", 2, "QUESTION_INVALID", "sum"),
        ("by a patient", 4, "WALLET_NOT_FOUND", "not known to institute"),
        ("to train", 3, "PERMIT_DOES_NOT_COVER", "study ask"),
        ("too dear", 5, "BUDGET_EXHAUSTED", ""),
        ("changed", 1, "FAULT_FOUND", "was changed"),
        ("applied", 4, "UNKNOWN_MODEL", "answer to a question"),
    ],
)
def test_what_is_refused_says_why(
    asked: AskingStory, moment: str, code: int, reason: str, detail: str
) -> None:
    answer = asked.refused[moment]
    document = json.loads(answer.err.splitlines()[-1])

    assert (answer.code, document["reason"]) == (code, reason)
    assert detail in document.get("detail", "")
    assert "Patient/" not in answer.err


def test_answers_are_listed_and_are_no_models(asked: AskingStory) -> None:
    listed = asked.heard["study answers"]["answers"]

    names = [asked.heard["study count"]["answer"], asked.moments["too few"]["answer"]]
    names += [asked.heard["study ask"]["answer"], asked.moments["ratio"]["answer"]]
    assert [one["answer"] for one in listed] == names == asked.moments["shown"]["answers"]
    assert asked.moments["shown"]["models"] == asked.moments["models"]["models"] == []
    assert asked.moments["shown"]["spent"] == 9.6


def test_an_answer_is_verified_like_a_model_and_by_its_question(asked: AskingStory) -> None:
    statements = asked.moments["verified"]["statements"]
    changed = json.loads(asked.refused["changed"].out)["statements"]

    assert asked.moments["verified"]["holds"]
    assert ("question", "opened") in [(one["name"], one["ground"]) for one in statements]
    assert [one["name"] for one in changed if not one["holds"]] == ["file", "question"]


def test_a_patient_sees_to_how_many_questions_they_were_counted(asked: AskingStory) -> None:
    (dataset,) = asked.moments["patient"]["datasets"]

    assert dataset["is_in"]
    assert dataset["models"] == []
    assert len(dataset["answers"]) == 4
