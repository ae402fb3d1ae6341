"""A researcher at a notebook: proposes, trains, asks and reads by the code of the commands, at a home."""

import csv
import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from asking_story import SCHEMA
from iamata.learning.protocols import Questions
from iamata.model.reasons import Reason, Refused
from iamata.notebook import Notebook, Step, open_home
from iamata.testing.learning import write_protocol
from iamata.testing.study_stage import HOSPITALS, StudyStage, set_study_stage

PROTOCOL = write_protocol(holdout_percent=50)
QUESTIONS = write_protocol(schema=SCHEMA, estimator=Questions(epsilon_micro=3_000_000))
UNTIL = datetime.now(UTC).date() + timedelta(days=200)


class Researched:
    """What came of a study and of questions, told once in a notebook."""

    def __init__(self, stage: StudyStage) -> None:
        self.stage = stage
        self.steps: list[Step] = []
        with self.open() as book:
            self.study = propose(book, PROTOCOL)
            asked = propose(book, msgspec.to_builtins(QUESTIONS), budget=6.5)
            self.studies = book.studies().to_pylist()
        for study in (self.study, asked):
            stage.review(study)
            for member in HOSPITALS:
                stage.build(study, member)
        with self.open() as book:
            self.model = book.train(self.study, tell=self.steps.append)
            self.models = book.models().to_pylist()
            self.fitted = book.read_model(self.model)
            self.rows = book.evaluate(self.model).rows
            self.statements = book.verify(self.model).to_pylist()
            self.replies = [book.count(asked, "smokes=yes,no", "marker>=0")]
            self.replies.append(book.count(asked, "marker>=0", "smokes=no,yes"))
            self.replies.append(book.ask(asked, {"type": "rate", "of": [{"column": "ill", "is": ["1"]}]}))
            self.answers = book.answers(asked).to_pylist()
            self.changed = stage.folder / "changed.json"
            self.changed.write_text("{}")
            self.refused = {
                "an answer for a model": refuse(lambda: book.read_model(self.replies[0].answer)),
                "beyond the budget": refuse(lambda: book.count(asked)),
                "no condition": refuse(lambda: book.count(asked, "smokes")),
                "no question": refuse(lambda: book.ask(asked, {"type": "sum"})),
                "no study": refuse(lambda: book.train("a" * 26)),
                "too few left": refuse(lambda: book.train(self.study, without=["north"])),
                "too few to count": refuse(lambda: book.count(asked, without=["north"])),
                "asked without nobody": refuse(
                    lambda: book.ask(asked, {"type": "count"}, without=["nobody"])
                ),
                "no training": refuse(lambda: book.train(asked)),
                "another file": refuse(lambda: book.verify(self.model, file=self.changed)),
            }

    def open(self) -> Notebook:
        """Open the home with the researcher's wallet."""
        return open_home(self.stage.home, wallet=self.stage.wallet("rosa"))


def propose(book: Notebook, protocol: Any, **more: Any) -> str:
    said: dict[str, Any] = {
        "sites": HOSPITALS,
        "purpose": "research",
        "uses": ["DUO:0000006"],
        "until": UNTIL,
        "is_prohibited_use_excluded": True,
    }
    return book.propose(protocol, **(said | more))


def refuse(act: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as refused:
        act()
    return refused.value


@pytest.fixture(scope="module")
def researched(tmp_path_factory: pytest.TempPathFactory) -> Researched:
    """Tell it once, of few patients."""
    stage = set_study_stage(tmp_path_factory.mktemp("researched"), dict.fromkeys(HOSPITALS, 44))
    return Researched(stage)


def test_what_is_proposed_stands_at_once_in_the_tables(researched: Researched) -> None:
    found = {row["study"]: row for row in researched.studies}[researched.study]

    assert (found["owner"], found["status"], found["until"]) == ("institute", "under-review", UNTIL)
    assert found["sites"] == list(HOSPITALS)


def test_each_site_tells_of_each_round_until_it_is_done(researched: Researched) -> None:
    said = [str(step) for step in researched.steps if step.site == "north"]
    rounds = [step.round.number for step in researched.steps if step.site == "north" and step.round]

    assert {step.site for step in researched.steps} == set(HOSPITALS)
    assert (said[0], said[-1]) == ("north takes part", "north is done")
    assert rounds == list(range(rounds[0], rounds[0] + len(rounds)))
    assert "training/moments" in said[1]


def test_a_trained_model_is_on_record_and_verified(researched: Researched) -> None:
    status = {row["model"]: row["status"] for row in researched.models}
    grounds = Counter(row["ground"] for row in researched.statements)

    assert status == {researched.model: "current"}
    assert researched.rows >= 10
    assert set(grounds) == {"proven", "opened"}  # this home is every site's


def test_a_model_predicts_from_a_frame_what_its_coefficients_say(researched: Researched) -> None:
    frame = pa.table({"marker": [-2.0, 0.5, None], "smokes": ["no", "yes", "no"], "other": [1, 2, 3]})
    table = researched.fitted.list_coefficients()
    terms = {row["term"]: row for row in table.to_pylist()}
    marker = terms["marker"]

    odds = terms["(intercept)"]["coefficient"]
    odds += marker["coefficient"] * (-2.0 - marker["mean"]) / marker["spread"]
    for term in ("smokes is yes", "marker is missing", "smokes is missing"):
        if terms[term]["spread"]:
            odds -= terms[term]["coefficient"] * terms[term]["mean"] / terms[term]["spread"]
    explained = researched.fitted.explain(frame).to_pylist()
    chance = researched.fitted.predict_proba(frame)

    assert chance[0, 1] == pytest.approx(1 / (1 + math.exp(-odds)))
    assert chance.sum(axis=1) == pytest.approx([1, 1, 1])
    assert researched.fitted.predict(frame).tolist() == [int(yes >= 0.5) for yes in chance[:, 1]]
    assert [row["value"] for row in explained] == chance[:, 1].tolist()
    assert explained[0]["offset"] + explained[0]["adds_marker"] + explained[0]["adds_smokes"] == (
        pytest.approx(odds)
    )
    assert marker["low"] < marker["coefficient"] < marker["high"]


def test_the_same_question_is_answered_twice_and_paid_for_once(researched: Researched) -> None:
    first, again, rate = researched.replies

    exact = sum(float(row["marker"]) >= 0 for row in read_rows(researched.stage))
    assert first.value is not None
    assert abs(first.value - exact) < 8 * first.deviation
    assert (first.is_new, first.epsilon, first.budget_left) == (True, 3.0, 3.5)
    assert again == dataclasses.replace(first, is_new=False)
    assert (rate.is_new, rate.budget_left) == (True, 0.5)
    assert [row["answer"] for row in researched.answers] == [first.answer, rate.answer]
    assert [row["value"] for row in researched.answers] == [first.value, rate.value]
    assert [row["sites"] for row in researched.answers] == [list(first.sites), list(rate.sites)]
    assert first.sites == HOSPITALS


def read_rows(stage: StudyStage) -> list[dict[str, str]]:
    rows = []
    for member in HOSPITALS:
        with stage.table(member).open(encoding="utf-8", newline="") as file:
            rows += [row for row in csv.DictReader(file) if row["patient"] != "nobody"]
    return rows


@pytest.mark.parametrize(
    ("what", "reason", "detail"),
    [
        ("an answer for a model", Reason.UNKNOWN_MODEL, "answer to a question"),
        ("beyond the budget", Reason.BUDGET_EXHAUSTED, ""),
        ("no condition", Reason.INPUT_INVALID, "COLUMN=WORD"),
        ("no question", Reason.QUESTION_INVALID, "sum"),
        ("no study", Reason.UNKNOWN_STUDY, ""),
        ("too few left", Reason.TOO_FEW_SITES, "fewer than three"),
        ("too few to count", Reason.TOO_FEW_SITES, "fewer than three"),
        ("asked without nobody", Reason.NOT_A_SITE, "and not nobody"),
        ("no training", Reason.PERMIT_DOES_NOT_COVER, "study ask"),
        ("another file", Reason.FAULT_FOUND, "file"),
    ],
)
def test_what_cannot_be_done_is_refused(
    researched: Researched, what: str, reason: Reason, detail: str
) -> None:
    assert researched.refused[what].reason is reason
    assert detail in researched.refused[what].detail


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"is_prohibited_use_excluded": False}, Reason.PURPOSE_PROHIBITED, "article 54"),
        ({"purpose": "fun"}, Reason.INPUT_INVALID, "research"),
        ({"uses": ["health"]}, Reason.INPUT_INVALID, "DUO:0000006"),
        ({"until": "soon"}, Reason.INPUT_INVALID, "YYYY-MM-DD"),
        ({"until": "2199-01-01"}, Reason.INPUT_INVALID, "a permit lasts until"),
        ({"sites": ["East!"]}, Reason.INPUT_INVALID, "no member's id"),
        ({"sites": HOSPITALS[:2]}, Reason.INPUT_INVALID, "sites"),
        ({"budget": math.nan}, Reason.INPUT_INVALID, "between 0 and 1000"),
        ({"budget": 1.0}, Reason.BUDGET_EXHAUSTED, "need each other"),
        ({"member": "north"}, Reason.WALLET_NOT_FOUND, "north"),
        ({"protocol": {"title": "Nothing else"}}, Reason.MALFORMED, "question"),
        ({"protocol": {"title": object()}}, Reason.MALFORMED, "no document of JSON"),
        ({"protocol": {"title": "x" * 2**20}}, Reason.INPUT_TOO_LARGE, "bytes"),
        ({"protocol": "nowhere.json"}, Reason.FILE_NOT_FOUND, "nowhere.json"),
    ],
    ids=[
        *("a prohibited use", "no purpose", "no code", "no day", "too long", "no member", "two sites"),
        *("no budget", "a budget for exact sums", "for another member", "half a protocol"),
        *("no JSON", "too large", "no file"),
    ],
)
def test_a_proposal_that_cannot_stand_is_refused_before_anybody_sees_it(
    researched: Researched, changes: dict[str, Any], reason: Reason, detail: str
) -> None:
    changes = {"protocol": PROTOCOL} | changes
    with researched.open() as book:
        before = book.studies().num_rows
        refused = refuse(lambda: propose(book, **changes))
        book.refresh()
        after = book.studies().num_rows

    assert refused.reason is reason
    assert detail in refused.detail
    assert after == before


def test_reading_needs_no_wallet_and_acting_says_that_it_does(researched: Researched) -> None:
    with open_home(researched.stage.home) as book:
        assert researched.model in book.models().column("model").to_pylist()
        refused = refuse(lambda: book.train(researched.study))

    assert refused.reason is Reason.INPUT_INVALID
    assert "wallet" in refused.detail
