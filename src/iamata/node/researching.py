"""What a researcher does at a home or at a node: the same for the command line and for notebooks."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from iamata.engines.embedded.engine import read_clock_ms
from iamata.learning.answers import Answer, turn_as_asked
from iamata.learning.protocols import MICRO, read_protocol
from iamata.learning.questions import Question
from iamata.ledger.entries import EhdsPurpose, OwnerKind
from iamata.ledger.tables import RUNS
from iamata.ledger.transactions.studies import PERMIT_DAYS_MAX
from iamata.model.ids import MemberId, ModelId, PersonId, RunId, StudyId
from iamata.model.instants import Day, compute_day, format_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node import learning, studying
from iamata.node.home import Home
from iamata.node.identities import get_only_member, sign_as
from iamata.node.places import RemotePlace
from iamata.node.running_studies import ask_at_node, train_at_node
from iamata.node.steps import Tell, watching
from iamata.node.words import read_day, read_member
from iamata.stores.wallets import load_wallet
from iamata.workflows import questions
from iamata.workflows.lineages import get_study
from iamata.workflows.question_runs import read_answer
from iamata.workflows.studies import Proposal

DUO_PATTERN: Final = r"DUO:[0-9]{7}\Z"
BUDGET_MAX: Final = 1_000.0
"""What a study may ask for, in epsilon."""
PROHIBITED: Final = (
    "Prohibited (EHDS, article 54):\n"
    "1. decisions to the detriment of a person or a group, with legal, social or economic effect;\n"
    "2. decisions on job offers, on less favourable terms for goods or services, on exclusion from "
    "insurance or credit, or on premiums and conditions for them;\n"
    "3. advertising or marketing;\n"
    "4. products or services that harm: addictive drugs and other addictive products, alcohol, tobacco, "
    "weapons;\n"
    "5. what national law or ethics forbid."
)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a question, turned as it was asked."""

    run: RunId
    is_new: bool
    """Whether it was asked, and paid for, just now."""
    answer: Answer


def write_proposal(
    *, sites: Sequence[str], purpose: str, uses: Sequence[str], until: str, budget: float
) -> Proposal:
    """Put into a proposal what a researcher writes, or refuse; `until` is a day, the budget an epsilon."""
    is_known = purpose in list(EhdsPurpose)
    require(is_known, Reason.INPUT_INVALID, f"{purpose!a} is none of {', '.join(EhdsPurpose)}")
    is_within = math.isfinite(budget) and 0 <= budget <= BUDGET_MAX
    require(is_within, Reason.INPUT_INVALID, f"a budget lies between 0 and {BUDGET_MAX:g}")
    return Proposal(
        uses=_read_uses(uses),
        purpose=EhdsPurpose(purpose),
        sites=tuple(sorted(read_member(one.strip()) for one in sites)),
        until_day=_read_last_day(until),
        budget_micro=round(budget * MICRO),
    )


def propose(
    place: Home | RemotePlace,
    wallet: Path,
    document: bytes,
    proposal: Proposal,
    *,
    member: MemberId | None = None,
) -> StudyId:
    """Put a study before the reviewers, for the researcher of a member whose wallet it is."""
    held = load_wallet(wallet)
    owner = member or get_only_member(place, held, kind=OwnerKind.PERSON)
    return studying.propose(place, sign_as(place, held, owner)[1], document, proposal, owner=owner)


def train(  # noqa: PLR0913  where and for whom, of what, in whose place, without whom, and who is told
    place: Home | RemotePlace,
    wallet: Path,
    study: StudyId,
    *,
    supersedes: ModelId | None,
    without: Sequence[str] = (),
    tell: Tell,
) -> ModelId:
    """Train on the datasets that stand, and put the model on record, for the owner's researcher.

    The sites in `without` take no part.
    """
    left_out = _read_left_out(without)
    with watching(tell) as hear:
        if isinstance(place, RemotePlace):
            return train_at_node(place, study, supersedes=supersedes, without=left_out, tell=hear)
        owner, researcher = _sign_as_researcher(place, wallet, study)
        return learning.train(
            place,
            study,
            owner=owner,
            researcher=researcher,
            supersedes=supersedes,
            without=left_out,
            tell=hear,
        )


def ask(  # noqa: PLR0913  where and for whom, what, without whom, and who is told
    place: Home | RemotePlace,
    wallet: Path,
    study: StudyId,
    question: Question,
    *,
    without: Sequence[str] = (),
    tell: Tell,
) -> Told:
    """Have a question answered once, for the owner's researcher; refuse early what cannot be asked.

    The sites in `without` take no part.
    """
    left_out = _read_left_out(without)
    protocol = read_protocol(studying.fetch_protocol(place, study))
    questions.prepare(protocol, question)
    with watching(tell) as hear:
        if isinstance(place, RemotePlace):
            worded = msgspec.json.encode(question)
            begun = ask_at_node(place, study, worded, without=left_out, tell=hear)
        else:
            owner, researcher = _sign_as_researcher(place, wallet, study)
            begun = learning.ask(
                place,
                study,
                question,
                owner=owner,
                researcher=researcher,
                without=left_out,
                tell=hear,
            )
    answer = turn_as_asked(fetch_answer(place, begun.run), question, protocol.schema)
    return Told(run=begun.run, is_new=begun.is_new, answer=answer)


def fetch_answer(place: Home | RemotePlace, run_id: RunId) -> Answer:
    """Return the answer of a run from whoever keeps it, checked against the ledger."""
    view = place.engine.snapshot()
    run = RUNS.find(view, run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    owner = get_study(view, run.study).owner
    raw = studying.fetch_document(place, questions.get_content(run), owner=owner)
    return read_answer(raw, view, run_id, run)


def _sign_as_researcher(home: Home, wallet: Path, study: StudyId) -> tuple[MemberId, PersonId]:
    """Return a study's owner, and for whom a wallet speaks there, or refuse."""
    owner = get_study(home.engine.snapshot(), study).owner
    identity, _ = sign_as(home, load_wallet(wallet), owner)
    require(identity.kind is OwnerKind.PERSON, Reason.ROLE_MISSING, "a patient's wallet")
    return owner, PersonId(identity.id)


def _read_left_out(texts: Sequence[str]) -> tuple[MemberId, ...]:
    """Read the sites that take no part, each once."""
    return tuple(dict.fromkeys(map(read_member, texts)))


def _read_last_day(text: str) -> Day:
    """Read a permit's last day, which is not so far away that no permit lasts that long."""
    day = read_day(text)
    latest = compute_day(read_clock_ms()) + PERMIT_DAYS_MAX
    require(day <= latest, Reason.INPUT_INVALID, f"a permit lasts until {format_day(latest)} at most")
    return day


def _read_uses(texts: Sequence[str]) -> tuple[str, ...]:
    """Read codes of the Data Use Ontology."""
    for text in texts:
        is_code = re.match(DUO_PATTERN, text) is not None
        require(is_code, Reason.INPUT_INVALID, f"{text!a} is no DUO code: DUO:0000006, …")
    return tuple(sorted(dict.fromkeys(texts)))
