"""What came of questions with a number as the answer: one of them, and all of a study's as a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from iamata.learning.answers import Answer
from iamata.learning.protocols import MICRO
from iamata.learning.questions import name_answer
from iamata.learning.wording import spell_question
from iamata.model.ids import MemberId, ModelId, StudyId
from iamata.node.home import Home
from iamata.node.places import RemotePlace
from iamata.node.researching import Told, fetch_answer
from iamata.ports import LedgerView
from iamata.workflows.lineages import Lineages, get_model, get_study, list_model_sites
from iamata.workflows.questions import list_answers

_NUMBERS: Final = ("value", "low", "high", "deviation", "confidence", "epsilon", "delta")
ANSWERS: Final = pa.schema(
    [(name, pa.string()) for name in ("answer", "status", "question")]
    + [(name, pa.float64()) for name in _NUMBERS]
    + [("sites", pa.list_(pa.string()))]
)


@dataclass(frozen=True)
class Reply:
    """A number with noise, and where it lies without it, as the answer's confidence has it."""

    answer: ModelId
    """On the ledger it stands like a model, and `verify` checks it."""
    question: str
    value: float | None
    """The count, rate or ratio; None, as are its bounds, where too few were counted to tell."""
    low: float | None
    high: float | None
    """None also where noise could have made all of what is divided by."""
    deviation: float
    """The standard deviation of the noise in each count."""
    confidence: float
    epsilon: float
    delta: float
    """What the first to ask it spent."""
    sites: tuple[MemberId, ...]
    """Where was counted."""
    is_new: bool
    """Whether it was asked, and paid for, just now."""
    budget_left: float
    """What is left of the study's budget (ε)."""


def describe_reply(told: Told, view: LedgerView) -> Reply:
    """Say what came of a question, and what is left to ask its study with."""
    name = name_answer(told.run)
    entry = get_model(view, name)
    study = get_study(view, entry.study)
    return Reply(
        answer=name,
        is_new=told.is_new,
        budget_left=(study.budget_micro - study.spent_micro) / MICRO,
        sites=tuple(list_model_sites(view, entry)),
        **_describe(told.answer),
    )


def tabulate_answers(place: Home | RemotePlace, found: Lineages, study: StudyId) -> pa.Table:
    """Tabulate what a study was asked, and what came of it."""
    return pa.Table.from_pylist(list(_list_rows(place, found, study)), schema=ANSWERS)


def _list_rows(place: Home | RemotePlace, found: Lineages, study: StudyId) -> Iterator[dict[str, Any]]:
    view = place.engine.snapshot()
    get_study(view, study)
    for name in list_answers(view, found, study):
        entry = get_model(view, name)
        yield {
            "answer": name,
            "status": entry.status.value,
            **_describe(fetch_answer(place, entry.run)),
            "sites": list_model_sites(view, entry),
        }


def _describe(answer: Answer) -> dict[str, Any]:
    result = answer.result
    return {
        "question": spell_question(answer.question),
        "value": None if result is None else result.value,
        "low": None if result is None else result.low,
        "high": None if result is None else result.high,
        "deviation": answer.deviation,
        "confidence": answer.confidence,
        "epsilon": answer.epsilon,
        "delta": answer.delta,
    }
