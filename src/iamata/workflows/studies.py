"""A study from its proposal to its models, on the owner's and the reviewers' side."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from iamata.consent.data_use import check_uses
from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.fhir.definitions import get_compartment, is_resource_type
from iamata.learning.evaluation.kinds import read_evaluation
from iamata.learning.protocols import (
    NOT_FOR_TRAINING,
    Protocol,
    check_budget,
    name_document,
    read_protocol,
)
from iamata.learning.questions import name_answer
from iamata.learning.secure_sum.plans import SITES_MIN
from iamata.learning.sizes import check_protocol as check_parts
from iamata.ledger.entries import EhdsPurpose, Run, RunStatus, Study
from iamata.ledger.tables import RUNS
from iamata.ledger.transactions.models import RegisterModel
from iamata.ledger.transactions.runs import FailRun
from iamata.ledger.transactions.studies import ProposeStudy, ReviewStudy, RevokePermit
from iamata.model.ids import Digest, MemberId, ModelId, PersonId, RunId, StudyId
from iamata.model.instants import Day
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.workflows.author import NO_FINALITY, Author
from iamata.workflows.cards import write_any_card
from iamata.workflows.cohort_views import compile_views
from iamata.workflows.datasets import is_permitted
from iamata.workflows.documents import (
    HandedIn,
    fetch_document,
    get_document,
    get_handed_in,
    get_protocol,
    keep_document,
    keep_handed_in,
    note_handed_in,
)
from iamata.workflows.lineages import get_dataset, get_study, list_sites
from iamata.workflows.model_cards import Card, Lineage, Worth
from iamata.workflows.office import Office
from iamata.workflows.reviewed_code import compute_code_digest
from iamata.workflows.run_rounds import say_failed
from iamata.workflows.starting import list_standing, require_fruitful, require_supersedable, submit_run
from iamata.workflows.study_purposes import require_code
from iamata.workflows.undertakings import OWN, Undertaking, list_under_way, undertake

GROUNDS: Final = "review-grounds"
"""Kind of the commitment to a reviewer's grounds."""
POLL_S: Final = 0.02


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a study asks for besides what its protocol says."""

    uses: tuple[str, ...]
    purpose: EhdsPurpose
    sites: tuple[MemberId, ...]
    until_day: Day
    budget_micro: int = 0


def propose_study(office: Office, researcher: Author, protocol: bytes, proposal: Proposal) -> StudyId:
    """Keep a study's protocol for everybody to fetch, and put the study before the reviewers."""
    check_protocol(protocol, proposal)
    keep_document(office.custody, protocol)
    return _submit(researcher, protocol, proposal)


def check_protocol(protocol: bytes, proposal: Proposal) -> None:
    """Refuse what no site could begin with, before a run has spent anything on it."""
    read = read_protocol(protocol)
    is_each_once = len(set(proposal.sites)) == len(proposal.sites)
    require(is_each_once, Reason.INPUT_INVALID, "a site is named twice")
    require(len(proposal.sites) >= SITES_MIN, Reason.INPUT_INVALID, f"fewer than {SITES_MIN} sites")
    require_code(proposal.purpose)
    check_uses(proposal.uses, read.purpose, until_day=proposal.until_day)
    check_budget(read, proposal.budget_micro)
    check_classes(read)
    if read.cohort is not None:
        compile_views(read)
    check_parts(read, sites=len(proposal.sites))


def check_classes(protocol: Protocol) -> None:
    """Refuse kinds of record that there are not: of those a consent would mean nothing."""
    unknown = [one for one in protocol.classes if not is_resource_type(one)]
    known = f"of patients' records it has {', '.join(get_compartment('Patient'))}"
    detail = f"classes: FHIR R4 has no {', '.join(unknown)}; {known}"
    require(not unknown, Reason.INPUT_INVALID, detail)


def submit_proposal(researcher: Author, protocol: bytes, proposal: Proposal) -> StudyId:
    """Put a study before the reviewers, whose protocol the owner's node keeps."""
    check_protocol(protocol, proposal)
    return _submit(researcher, protocol, proposal)


def _submit(researcher: Author, protocol: bytes, proposal: Proposal) -> StudyId:
    study = StudyId(researcher.make_id())
    researcher.submit(
        ProposeStudy,
        study=study,
        protocol=name_document(protocol),
        code=compute_code_digest(),
        is_prohibited_use_excluded=True,
        **msgspec.structs.asdict(proposal),
    )
    return study


def fetch_protocol(office: Office, study_id: StudyId, document: bytes) -> None:
    """Take in a study's protocol, whoever brings it, if it is the one that the ledger names."""
    study = get_study(office.take_view(), study_id)
    require(name_document(document) == study.protocol, Reason.BODY_CHANGED, "the protocol")
    check_parts(read_protocol(document), sites=len(study.sites))
    keep_document(office.custody, document)


def fetch_missing_protocol(
    office: Office, study_id: StudyId, show: Callable[[MemberId, Digest], bytes]
) -> None:
    """Take in a study's protocol from its owner, where it is not kept here, or refuse one for no site."""
    document = get_protocol_file(office, study_id, show)
    sites = get_study(office.take_view(), study_id).sites
    check_parts(read_protocol(document), sites=len(sites))


def get_protocol_file(
    office: Office, study_id: StudyId, show: Callable[[MemberId, Digest], bytes]
) -> bytes:
    """Return a study's protocol as it is, from its owner where it is not kept here, from then on kept."""
    study = get_study(office.take_view(), study_id)
    return fetch_document(office.custody, study.protocol, partial(show, study.owner))


def check_study(study: Study, document: bytes) -> None:
    """Refuse a protocol that the ledger does not name, and a purpose that no consent or its uses hold."""
    require(name_document(document) == study.protocol, Reason.BODY_CHANGED, "the protocol")
    require_code(study.purpose)
    check_uses(study.uses, read_protocol(document).purpose, until_day=study.until_day)


def review_study(reviewer: Author, study_id: StudyId, *, is_approval: bool, grounds: str) -> bytes:
    """Judge a study's protocol and the code that is installed here; return what opens the grounds.

    Who rejects need not have the code: what is rejected is the study as it stands.
    """
    study = get_study(reviewer.engine.snapshot(), study_id)
    salt = reviewer.entropy(SALT_BYTES)
    reviewer.submit(
        ReviewStudy,
        study=study_id,
        protocol=study.protocol,
        code=compute_code_digest() if is_approval else study.code,
        is_approval=is_approval,
        grounds=commit(GROUNDS, salt, grounds.encode("utf-8")),
    )
    return salt


def revoke_permit(revoker: Author, study_id: StudyId, *, grounds: str) -> bytes:
    """End a study's permit; return what opens the grounds.

    No run begins any more, and the sites give up what is under way. What all have attested is a model.
    """
    salt = revoker.entropy(SALT_BYTES)
    revoker.submit(RevokePermit, study=study_id, grounds=commit(GROUNDS, salt, grounds.encode("utf-8")))
    return salt


def start_run(
    office: Office,
    study_id: StudyId,
    researcher: PersonId,
    *,
    supersedes: ModelId | None = None,
    without: Sequence[MemberId] = (),
) -> RunId:
    """Begin a training on every dataset of a study that stands; refused where the budget is exhausted.

    Refused before anything is spent, too, where no model could come of it, or none be put on record.
    It is over with its permit at the latest. `supersedes` is remembered, should this node be killed; the
    sites in `without` take no part.
    """
    view = office.take_view()
    study = get_study(view, study_id)
    protocol = get_protocol(office.custody, study)
    require(not protocol.is_for_questions, Reason.PERMIT_DOES_NOT_COVER, NOT_FOR_TRAINING)
    require(is_permitted(office, view, study), Reason.PERMIT_NOT_ACTIVE)
    require_supersedable(view, study_id, supersedes)
    datasets = list_standing(office, view, study, without=without)
    run = RunId(office.author.make_id())
    require_fruitful(view, datasets)
    undertake(office.custody, OWN, Undertaking(run=run, supersedes=supersedes))
    submit_run(office, study_id, researcher, run=run, datasets=datasets)
    return run


def accept_model(office: Office, sender: MemberId, handed: HandedIn) -> None:
    """Keep what a site hands in; which of it counts is for the attestations of all sites to say."""
    view = office.take_view()
    run = RUNS.find(view, handed.run)
    if run is None or run.status is not RunStatus.RUNNING:
        raise Refused(Reason.RUN_OVER)
    require(sender in list_sites(view, run), Reason.NOT_A_SITE)
    require(get_study(view, run.study).owner == office.member, Reason.NOT_THE_OWNER)
    read_evaluation(handed.evaluation)
    note_handed_in(office.custody, sender, handed)
    keep_document(office.custody, handed.model)
    keep_handed_in(office.custody, handed)


def register_model(office: Office, run_id: RunId, *, supersedes: ModelId | None = None) -> ModelId:
    """Await that every site attests a run, and put its model with its card on record.

    Where it cannot be put on record, the run has failed. While the ledger is silent, it has not.
    """
    view = office.take_view()
    run = RUNS.find(view, run_id)
    while run is not None and run.status is RunStatus.RUNNING and len(run.attestations) < len(run.datasets):
        if office.tell_time(view) > run.until_ms:
            office.author.submit(FailRun, run=run_id, reason=int(Reason.TOO_SLOW))
            raise Refused(Reason.TOO_SLOW, "not every site said what came out")
        time.sleep(POLL_S)
        view = office.take_view()
        run = RUNS.find(view, run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    require(run.status is RunStatus.RUNNING, Reason.RUN_OVER, "a site says that it failed")
    try:
        return _put_on_record(office, view, run_id, run, supersedes)
    except Refused as refused:
        if refused.reason not in NO_FINALITY:
            say_failed(office, run_id, refused.reason)
        raise
    except Exception as error:
        say_failed(office, run_id, Reason.NODE_FAULT)
        raise Refused(Reason.NODE_FAULT, type(error).__name__) from error


def _put_on_record(
    office: Office, view: LedgerView, run_id: RunId, run: Run, supersedes: ModelId | None
) -> ModelId:
    model, card = _write_card(office, view, run_id, run)
    for figure in card.figures.values():
        keep_document(office.custody, figure)
    office.relays.forget(run_id)
    office.author.submit(
        RegisterModel,
        model=model,
        run=run_id,
        content=run.attestations[0].model,
        card=keep_document(office.custody, card.text),
        supersedes=msgspec.UNSET if supersedes is None else supersedes,
    )
    return model


def _write_card(office: Office, view: LedgerView, run_id: RunId, run: Run) -> tuple[ModelId, Card]:
    """Name what a run came to, a model or an answer, and write its card."""
    attested = run.attestations[0]
    rounds, raw = get_handed_in(office.custody, run_id, attested.transcript)
    worth = Worth(rounds=rounds, raw=raw, evaluation=read_evaluation(raw))
    study = get_study(view, run.study)
    protocol = get_protocol(office.custody, study)
    lineage = Lineage(
        network=office.author.engine.network,
        study_id=run.study,
        study=study,
        run_id=run_id,
        datasets=tuple(get_dataset(view, one) for one in run.datasets),
    )
    file = get_document(office.custody, attested.model)
    model = name_answer(run_id) if protocol.is_for_questions else ModelId(office.author.make_id())
    return model, write_any_card(protocol, file, worth, lineage, model=model, run=run)


def list_unregistered(office: Office) -> list[Undertaking]:
    """List the own runs that are under way, for a node that was killed and has to await them again."""
    return [one for one, _ in list_under_way(office.custody, office.take_view(), OWN)]
