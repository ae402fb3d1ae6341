"""Which run answers a question: the ledger's first that did not fail, found by its name alone.

A run's name follows from study, datasets and question, and the ledger takes a name once. So whoever asks
the same again finds the same run, and no site takes part in a second one.
"""

from collections.abc import Sequence
from typing import Final

from iamata.learning.answers import Answer, decode_answer
from iamata.learning.questions import Asked, name_run
from iamata.ledger.entries import Run, RunStatus
from iamata.ledger.tables import RUNS
from iamata.model.ids import DatasetId, RunId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import NO_PATIENT, LedgerView
from iamata.vault.custody import Custody
from iamata.vault.openings import NO_SALT, Opening, find_opening, keep_opening

QUESTION: Final = "question"
"""Kind of what an owner keeps of a question that it has asked."""
ATTEMPTS_MAX: Final = 16


def find_attempt(
    view: LedgerView, study: StudyId, datasets: Sequence[DatasetId], asked: Asked
) -> tuple[RunId, Run | None]:
    """Return the run that answers a question, or is to: None where it has not begun."""
    for attempt in range(ATTEMPTS_MAX):
        name = name_run(study, datasets, asked, attempt=attempt)
        run = RUNS.find(view, name)
        if run is None or run.status is not RunStatus.FAILED:
            return name, run
    raise Refused(Reason.RUN_OVER, f"{ATTEMPTS_MAX} runs have failed to answer this")


def read_answer(raw: bytes, view: LedgerView, run_id: RunId, run: Run) -> Answer:
    """Read the answer of a run, or refuse one to a question by which the run is not named."""
    answer = decode_answer(raw)
    named, _ = find_attempt(view, run.study, run.datasets, answer.question)
    require(named == run_id, Reason.MODEL_CHANGED, "the run answers another question")
    return answer


def keep_question(custody: Custody, run: RunId, asked: Asked) -> None:
    """Keep what a run asks, for its sites."""
    opening = Opening(
        name=_name(run), patient=NO_PATIENT, kind=QUESTION, salt=NO_SALT, payload=asked.encode()
    )
    keep_opening(custody, opening)


def get_question(custody: Custody, run: RunId) -> bytes:
    """Return what a run asks, or refuse where this member has not asked it."""
    opening = find_opening(custody, _name(run))
    if opening is None or opening.kind != QUESTION:
        raise Refused(Reason.UNKNOWN_RUN, "no question of this member's")
    return opening.payload


def _name(run: RunId) -> str:
    return f"{QUESTION}/{run}"
