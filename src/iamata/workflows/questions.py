"""Questions with a number as the answer, on the owner's side: asked once, answered for good."""

from collections.abc import Sequence

import msgspec

from iamata.learning.protocols import NOT_FOR_QUESTIONS, Protocol
from iamata.learning.questions import Asked, Question, canonicalise, name_answer, read_asked
from iamata.ledger.entries import Run, RunStatus
from iamata.ledger.tables import MODELS
from iamata.ledger.transactions.runs import FailRun
from iamata.model.ids import Digest, MemberId, ModelId, PersonId, RunId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.workflows.documents import get_protocol
from iamata.workflows.lineages import Lineages, get_study, is_over_time
from iamata.workflows.office import Office
from iamata.workflows.question_runs import find_attempt, keep_question
from iamata.workflows.starting import list_standing, require_fruitful, submit_run
from iamata.workflows.undertakings import OWN, Undertaking, undertake


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that answers a question, and whether it was begun for it just now."""

    run: RunId
    is_new: bool


def ask(
    office: Office,
    study_id: StudyId,
    researcher: PersonId,
    question: Question,
    *,
    without: Sequence[MemberId] = (),
) -> Begun:
    """Begin a run that answers a question, or return the one that has answered it, or is about to.

    Over the same datasets the same question, however it is worded, spends once; refused where the budget
    is exhausted. The sites in `without` take no part: over those that are left it is another question.
    """
    view = office.take_view()
    study = get_study(view, study_id)
    require(study.owner == office.member, Reason.NOT_THE_OWNER)
    asked = prepare(get_protocol(office.custody, study), question)
    datasets = list_standing(office, view, study, without=without)
    run, entry = find_attempt(view, study_id, datasets, asked)
    if entry is not None and is_over_time(entry, at_ms=office.tell_time(view)):
        office.author.submit(FailRun, run=run, reason=int(Reason.TOO_SLOW))
        run, entry = find_attempt(office.take_view(), study_id, datasets, asked)
    if entry is not None:
        return Begun(run=run, is_new=False)
    require_fruitful(view, datasets)
    keep_question(office.custody, run, asked)
    _undertake(office, run)
    try:
        submit_run(office, study_id, researcher, run=run, datasets=datasets)
    except Refused as refused:  # somebody asked the same at the same time
        require(refused.reason is Reason.RUN_ALREADY_EXISTS, refused.reason, refused.detail)
        return Begun(run=run, is_new=False)
    return Begun(run=run, is_new=True)


def prepare(protocol: Protocol, question: Question) -> Asked:
    """Put a question into its canonical form, or refuse one that the study cannot be asked.

    Read again as its sites will read it, so that no run begins that they refuse.
    """
    require(protocol.is_for_questions, Reason.PERMIT_DOES_NOT_COVER, NOT_FOR_QUESTIONS)
    return read_asked(canonicalise(question, protocol.schema).encode(), protocol.schema)


def get_content(run: Run) -> Digest:
    """Return the hash of what a finished run came to, or refuse one that is under way or has failed."""
    require(run.status is not RunStatus.RUNNING, Reason.TOO_BUSY, "the sites are still at it")
    require(run.status is RunStatus.FINISHED, Reason.RUN_OVER, "it came to nothing")
    return run.attestations[0].model


def list_answers(view: LedgerView, found: Lineages, study: StudyId) -> list[ModelId]:
    """List what a study was answered, in the ledger's order."""
    return [
        model
        for model, run in found.models.items()
        if found.runs.get(run) == study and model == name_answer(run) and MODELS.find(view, model)
    ]


def _undertake(office: Office, run: RunId) -> None:
    """Keep that the run is awaited, as it may be already where the ledger refused to begin it before."""
    try:
        undertake(office.custody, OWN, Undertaking(run=run))
    except Refused as refused:
        require(refused.reason is Reason.QUERY_ALREADY_ANSWERED, refused.reason, refused.detail)
