"""Check all that a model rests on, and say of each statement how far it can be known (DESIGN 6).

*Proven*: the ledger alone shows it. *Opened*: somebody here holds what opens a commitment or a hash, and it
was worked out again. *Attested*: it is a site's signed word, and no more.
"""

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from iamata.consent.data_use import find_objection
from iamata.learning.membership import compute_leaf, derive_member_key, spell_members
from iamata.learning.protocols import Protocol, name_document
from iamata.learning.questions import Asked
from iamata.ledger.entries import (
    ConsentStatus,
    Dataset,
    DatasetStatus,
    Model,
    ModelStatus,
    Run,
    RunStatus,
    Study,
)
from iamata.ledger.leaves import Leaf
from iamata.ledger.tables import CONSENTS, DATASETS, RUNS
from iamata.ledger.transactions.studies import REVIEWS_NEEDED
from iamata.model.ids import DatasetId, Digest, MemberId, ModelId, NetworkId
from iamata.model.instants import Instant, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.vault.openings import Opening, find_opening
from iamata.workflows.cards import is_card_written
from iamata.workflows.consent_changes import Change, find_change, list_successors
from iamata.workflows.consent_history import ConsentsThen, list_consents_then, read_policy_then
from iamata.workflows.datasets import decide_taking_part
from iamata.workflows.documents import compute_transcript, get_protocol
from iamata.workflows.frozen_tables import DATASET, Participant, Roll, get_roll
from iamata.workflows.lineages import get_model, get_study, is_answer, is_erased, is_overdue
from iamata.workflows.model_cards import WORTH, Lineage, find_rounds, list_figures
from iamata.workflows.question_runs import read_answer
from iamata.workflows.reviewed_code import compute_code_digest
from iamata.workflows.run_audits import Finished, audit_site

NOTHING: Final = b"null"
"""What the sites say of a model's worth where it was not evaluated."""


COMPUTATION: Final = "which rows were read, and that the reviewed code ran"


class Ground(enum.StrEnum):
    """How far a statement can be known here."""

    PROVEN = "proven"
    OPENED = "opened"
    ATTESTED = "attested"


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a model rests on."""

    name: str
    ground: Ground
    holds: bool
    says: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that a model is held against."""

    view: LedgerView
    networks: tuple[NetworkId, ...]
    """The network, and those that it goes on from: a card names the one in which it was written."""
    at_ms: Instant
    """The time now: an idle ledger does not keep a custodian's word fresh."""
    read_log: Callable[[], Iterable[Leaf]]
    tell_block_ms: Callable[[int], Instant]
    """The time of a block, by its height."""
    custodies: Mapping[MemberId, Custody]
    """Of the members whose openings are at hand."""
    find_document: Callable[[Digest], bytes | None]


class _Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A model with all that is above it."""

    entry: Model
    run: Run
    study: Study
    datasets: tuple[tuple[DatasetId, Dataset], ...]

    def list_sites(self) -> list[MemberId]:
        return [dataset.custodian for _, dataset in self.datasets]


def verify_model(evidence: Evidence, model: ModelId, *, file: bytes | None = None) -> list[Statement]:
    """Check a model; `file` is what somebody has as its file, otherwise what is kept here."""
    whole = _gather(evidence.view, model)
    return [
        _check_permit(whole),
        _check_run(whole),
        _check_attestations(whole),
        _check_standing(evidence, whole),
        *_check_documents(evidence, whole, file),
        _check_figures(evidence, whole),
        _check_contents(evidence, whole, model, file),
        *_check_question(evidence, whole, model, file),
        _check_code(whole),
        *(one for named in whole.datasets for one in _check_dataset(evidence, whole, *named)),
        *_check_computation(evidence, whole, model, file),
    ]


def _gather(view: LedgerView, model: ModelId) -> _Whole:
    entry = get_model(view, model)
    run, study = RUNS.find(view, entry.run), get_study(view, entry.study)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    datasets = tuple(
        (one, found) for one in run.datasets if (found := DATASETS.find(view, one)) is not None
    )
    return _Whole(entry=entry, run=run, study=study, datasets=datasets)


def _say(name: str, ground: Ground, *, holds: bool = True, says: str) -> Statement:
    return Statement(name=name, ground=ground, holds=holds, says=says)


def _check_permit(whole: _Whole) -> Statement:
    study = whole.study
    independent = [one for one in dict.fromkeys(study.approvals) if one != study.owner]
    says = f"the permit of {study.owner} was granted by reviewers of {', '.join(independent) or 'nobody'}"
    return _say("permit", Ground.PROVEN, holds=len(independent) >= REVIEWS_NEEDED, says=says)


def _check_run(whole: _Whole) -> Statement:
    run, sites = whole.run, whole.list_sites()
    is_authorised = (
        run.study == whole.entry.study
        and run.status is RunStatus.FINISHED
        and len(whole.datasets) == len(run.datasets) > 0
        and all(dataset.study == run.study for _, dataset in whole.datasets)
        and all(site in whole.study.sites for site in sites)
    )
    says = f"the run was authorised by that permit, on datasets of {', '.join(sites)}"
    return _say("run", Ground.PROVEN, holds=is_authorised, says=says)


def _check_attestations(whole: _Whole) -> Statement:
    said = {one.site: one for one in whole.run.attestations}
    is_said = sorted(said) == sorted(whole.list_sites())
    is_same = {one.model for one in said.values()} == {whole.entry.content}
    is_one = len({one.transcript for one in said.values()}) == 1
    says = f"the reviewed code, this model and one transcript of sums were signed by {', '.join(said)}"
    return _say("attestations", Ground.PROVEN, holds=is_said and is_same and is_one, says=says)


def _check_standing(evidence: Evidence, whole: _Whole) -> Statement:
    """Hold a model's status against its datasets': who left one has to be seen in the model.

    Whose custodian owes its word may know of more who left; nothing more may be learned from that dataset.
    """
    statuses = [dataset.status for _, dataset in whole.datasets]
    possible = [ModelStatus.SUPERSEDED, ModelStatus.RETIRED]
    if DatasetStatus.RETIRED not in statuses:
        possible = [*possible, ModelStatus.STALE]
        if DatasetStatus.REPLACED not in statuses:
            possible = [*possible, ModelStatus.CURRENT]
    told = ", ".join(
        f"{one.custodian} {one.status}{', overdue' if is_overdue(one, at_ms=evidence.at_ms) else ''}"
        for _, one in whole.datasets
    )
    says = f"the model is {whole.entry.status}; its datasets: {told}"
    return _say("standing", Ground.PROVEN, holds=whole.entry.status in possible, says=says)


def _check_documents(evidence: Evidence, whole: _Whole, file: bytes | None) -> Iterator[Statement]:
    wanted = (
        ("file", whole.entry.content, "the model's file"),
        ("card", whole.entry.card, "the model's card"),
        ("protocol", whole.study.protocol, "the protocol"),
    )
    for name, digest, what in wanted:
        is_given = name == "file" and file is not None
        raw = file if is_given else evidence.find_document(digest)
        if raw is None:
            yield _say(name, Ground.ATTESTED, says=f"{what} is not at hand; its hash is {digest}")
        else:
            holds = name_document(raw) == digest
            says = f"{what} {'has' if holds else 'was changed: it has not'} the hash on the ledger"
            yield _say(name, Ground.OPENED, holds=holds, says=says)


def _check_figures(evidence: Evidence, whole: _Whole) -> Statement:
    """Hold a card's figures against its hashes, and its evaluation against what every site attested."""
    card = evidence.find_document(whole.entry.card)
    if card is None:
        return _say("figures", Ground.ATTESTED, says="the card's figures are not at hand")
    rounds = find_rounds(card)
    if rounds is None:
        return _say("figures", Ground.OPENED, holds=False, says="the card names no rounds of sums")
    wanted = list_figures(card)
    found = _find_figures(evidence, card)
    if None in found.values():
        return _say("figures", Ground.ATTESTED, says="the card's figures are not all at hand")
    said = _get_said(found)
    is_attested = {one.transcript for one in whole.run.attestations} == {compute_transcript(rounds, said)}
    is_same = all(raw and name_document(raw) == wanted[name] for name, raw in found.items())
    says = "what the card's figures rest on is what every site attested"
    return _say("figures", Ground.OPENED, holds=is_attested and is_same, says=says)


def _get_said(found: Mapping[str, bytes | None]) -> bytes:
    return next((raw for name, raw in found.items() if raw and name.endswith(WORTH)), NOTHING)


def _check_contents(evidence: Evidence, whole: _Whole, model: ModelId, file: bytes | None) -> Statement:
    """Write a card again and compare it: nothing but what it follows from may stand on it.

    A file that was changed is no fault of the card's.
    """
    card = evidence.find_document(whole.entry.card)
    rounds = None if card is None else find_rounds(card)
    protocol = evidence.find_document(whole.study.protocol)
    given = _find_file(evidence, whole, file)
    found = {} if card is None else _find_figures(evidence, card)
    if card is None or protocol is None or given is None or None in found.values():
        named = {"the card": card, "the protocol": protocol, "the model's file": given} | found
        missing = ", ".join(name for name, raw in named.items() if raw is None)
        says = f"the card was not compared, for not all that it follows from is at hand: {missing}"
        return _say("contents", Ground.ATTESTED, says=says)
    entry, datasets = whole.entry, tuple(dataset for _, dataset in whole.datasets)
    lineage = partial(Lineage, study_id=entry.study, study=whole.study, datasets=datasets)
    holds = rounds is not None and is_card_written(
        card,
        (lineage(network=one, run_id=entry.run) for one in evidence.networks),
        whole.run,
        model=model,
        protocol=protocol,
        file=given,
        rounds=rounds,
        said=_get_said(found),
    )
    if not holds and compute_code_digest() != whole.study.code:
        says = "the card was written by other code than is installed here, so it was not compared"
        return _say("contents", Ground.ATTESTED, says=says)
    follows = "is" if holds else "is not"
    says = f"the card {follows} what protocol, ledger and the sites' figures come to, word for word"
    return _say("contents", Ground.OPENED, holds=holds, says=says)


def _find_figures(evidence: Evidence, card: bytes) -> dict[str, bytes | None]:
    return {name: evidence.find_document(digest) for name, digest in list_figures(card).items()}


def _check_question(
    evidence: Evidence, whole: _Whole, model: ModelId, file: bytes | None
) -> Iterator[Statement]:
    """Hold the question of an answer against the run's name, which follows from it."""
    if not is_answer(model, whole.entry.run):
        return
    raw = evidence.find_document(whole.entry.content) if file is None else file
    if raw is None:
        yield _say("question", Ground.ATTESTED, says="which question it answers; the answer is not at hand")
        return
    try:
        read_answer(raw, evidence.view, whole.entry.run, whole.run)
    except Refused:
        says = "the run's name does not follow from the question in the answer"
        yield _say("question", Ground.OPENED, holds=False, says=says)
    else:
        says = "the run's name follows from the question, so over these datasets it was answered once"
        yield _say("question", Ground.OPENED, says=says)


def _check_code(whole: _Whole) -> Statement:
    """Compare what is installed here; another version here does not make the model wrong."""
    if compute_code_digest() == whole.study.code:
        return _say("code", Ground.OPENED, says="the code that is installed here is what was reviewed")
    says = "the code that was reviewed is not what is installed here, so it was not looked at"
    return _say("code", Ground.ATTESTED, says=says)


def _check_dataset(
    evidence: Evidence, whole: _Whole, name: DatasetId, dataset: Dataset
) -> Iterator[Statement]:
    site = dataset.custodian
    custody = evidence.custodies.get(site)
    opening = None if custody is None else find_opening(custody, name)
    if custody is None or opening is None:
        says = f"{site}: everybody in its dataset agreed to it"
        yield _say("consents", Ground.ATTESTED, says=says)
        return
    if not _is_opened(opening, dataset):
        says = f"{site}: what is kept does not open what its dataset commits to"
        yield _say("consents", Ground.OPENED, holds=False, says=says)
        return
    roll = get_roll(custody, name)
    members, leaves = roll.build_members()
    is_same = (spell_members(members), leaves) == (dataset.members, dataset.leaves)
    says = f"{site}: the roll's leaves {'make' if is_same else 'do not make'} the root on the ledger"
    yield _say("members", Ground.OPENED, holds=is_same, says=says)
    protocol = get_protocol(custody, whole.study)
    yield _check_consents(evidence, whole, dataset, roll, protocol)
    if roll.conditions is not None:
        day = compute_day(evidence.tell_block_ms(dataset.height))
        objection = find_objection(roll.conditions, protocol.purpose, day=day)
        says = f"{site}: the conditions on its data {'speak against' if objection else 'allow'} the purpose"
        yield _say("conditions", Ground.OPENED, holds=not objection, says=says)


def _check_computation(
    evidence: Evidence, whole: _Whole, model: ModelId, file: bytes | None
) -> Iterator[Statement]:
    """Work out again what each site did whose rows and rounds are at hand; the rest is its word."""
    is_reviewed = compute_code_digest() == whole.study.code
    held = {site: evidence.custodies.get(site) for site in whole.list_sites()}
    try:
        asked = _find_asked(evidence, whole, model, file)
    except Refused:  # «question» says so
        is_reviewed, asked = False, None
    for custody in held.values():
        if custody is not None and is_reviewed:
            yield _audit(evidence, whole, custody, asked)
    if said := [site for site, custody in held.items() if custody is None or not is_reviewed]:
        yield _say("computation", Ground.ATTESTED, says=f"{COMPUTATION}: {', '.join(said)}")


def _audit(evidence: Evidence, whole: _Whole, custody: Custody, asked: Asked | None) -> Statement:
    """Audit a site, where what that takes is kept."""
    finished = Finished(whole.entry.run, whole.run, get_protocol(custody, whole.study), asked)
    try:
        rounds = audit_site(custody, evidence.view, finished)
    except Refused as refused:
        is_wrong, detail = refused.reason is not Reason.NOT_FOUND, refused.detail
        if is_wrong:
            return _say("computation", Ground.OPENED, holds=False, says=f"{custody.member}: {detail}")
        says = f"{COMPUTATION}: {custody.member}, where it cannot be worked out again: {detail}"
        return _say("computation", Ground.ATTESTED, says=says)
    says = f"its part in {rounds} sums is what the reviewed code makes of the rows that it keeps"
    return _say("computation", Ground.OPENED, says=f"{custody.member}: {says}")


def _find_asked(evidence: Evidence, whole: _Whole, model: ModelId, file: bytes | None) -> Asked | None:
    """Return the question that a run answered, None where it made a model; refuse what answers no such."""
    if not is_answer(model, whole.entry.run):
        return None
    raw = _find_file(evidence, whole, file)
    if raw is None:
        raise Refused(Reason.NOT_FOUND, "the answer")
    return read_answer(raw, evidence.view, whole.entry.run, whole.run).question


def _find_file(evidence: Evidence, whole: _Whole, file: bytes | None) -> bytes | None:
    """Return a model's file: the one that was given, where it is that, or what is kept here."""
    is_given = file is not None and name_document(file) == whole.entry.content
    return file if is_given else evidence.find_document(whole.entry.content)


def _is_opened(opening: Opening, dataset: Dataset) -> bool:
    return (opening.kind, opening.commitment) == (DATASET, dataset.consents)


def _check_consents(
    evidence: Evidence, whole: _Whole, dataset: Dataset, roll: Roll, protocol: Protocol
) -> Statement:
    at_ms = evidence.tell_block_ms(dataset.height)
    then = list_consents_then(evidence.read_log(), at_ms=at_ms)
    custody, view = evidence.custodies[dataset.custodian], evidence.view
    living = [one for one in roll.participants if not is_erased(view, one.patient)]
    agreed = [
        one
        for one in living
        if _is_consented(view, custody, whole.study, roll, one, then=then, protocol=protocol, at_ms=at_ms)
    ]
    erased = len(roll.participants) - len(living)
    since = _count_changes(evidence, custody, whole.study, protocol, agreed)
    told = [
        f"{dataset.custodian}: of {len(living)} in its dataset, {len(agreed)} had agreed by then",
        *(f"{change}: {since[change]}" for change in Change if since[change]),
        *([f"{erased} were erased since"] if erased else []),
    ]
    return _say("consents", Ground.OPENED, holds=len(agreed) == len(living), says="; ".join(told))


def _count_changes(
    evidence: Evidence,
    custody: Custody,
    study: Study,
    protocol: Protocol,
    agreed: Sequence[Participant],
) -> Counter[Change | None]:
    """Count what became since of the consents of those who had agreed."""
    view, at_ms = evidence.view, evidence.at_ms
    is_any_replaced = any(_is_replaced(view, one) for one in agreed)  # else the log need not be read
    successors = list_successors(evidence.read_log()) if is_any_replaced else {}
    return Counter(
        find_change(view, custody, study, protocol, one, successors=successors, at_ms=at_ms)
        for one in agreed
    )


def _is_replaced(view: LedgerView, one: Participant) -> bool:
    consent = CONSENTS.find(view, one.consent)
    return consent is not None and consent.status is ConsentStatus.REPLACED


def _is_consented(  # noqa: PLR0913  whose consent, to what, when
    view: LedgerView,
    custody: Custody,
    study: Study,
    roll: Roll,
    one: Participant,
    *,
    then: ConsentsThen,
    protocol: Protocol,
    at_ms: Instant,
) -> bool:
    """Tell whether a participant's consent was in force, covered the study, and makes just this leaf."""
    entry, opening = CONSENTS.find(view, one.consent), find_opening(custody, one.consent)
    if entry is None or opening is None:
        return False
    is_theirs = (entry.patient, entry.custodian) == (one.patient, custody.member)
    is_leaf = one.leaf == compute_leaf(derive_member_key(opening.salt), roll.study)
    policy = read_policy_then(view, custody, one.patient, then, at_ms=at_ms)
    agreed = decide_taking_part(policy, study, protocol, at_ms=at_ms)
    return is_theirs and is_leaf and agreed is not None and agreed.consent == one.consent
