"""What a study asks of a node: sites and a researcher its owner's, staff and patients a custodian's."""

import asyncio
import contextlib
from functools import partial
from typing import Final

from iamata.api.callers import Caller
from iamata.api.serving import Serving
from iamata.api.staff import read_patient
from iamata.learning.protocols import read_protocol
from iamata.learning.questions import read_question
from iamata.ledger.entries import Role
from iamata.ledger.tables import PERSONS
from iamata.model.ids import Digest, MemberId, RunId
from iamata.model.reasons import Reason, Refused, require
from iamata.wire import bodies
from iamata.workflows import memberships, model_uses, questions, studies
from iamata.workflows.documents import HandedIn, get_document, is_kept, keep_document
from iamata.workflows.frozen_tables import find_conditions
from iamata.workflows.question_runs import get_question
from iamata.workflows.relaying import Standing, is_under_way

STEP_S: Final = 0.003
"""How often an open phase is looked at for those who wait."""
LOOK_S: Final = 0.05
"""How often the ledger is asked, meanwhile, whether the run still goes on; and whether a dataset stands."""


def carry_message(serving: Serving, caller: Caller, body: bodies.RunMessage) -> bodies.Nothing:
    """Take in a site's message in a round of a run that this member carries."""
    view = serving.office.await_height(body.height)
    office = serving.office
    office.relays.carry(view, caller.member, owner=office.member, plan=body.plan, message=body.message)
    return bodies.Nothing()


async def await_delivery(serving: Serving, caller: Caller, query: bodies.DeliveryQuery) -> bodies.Delivery:
    """Return what a phase of a round brought; with `wait_s`, wait until it is closed or the run is over."""
    over = asyncio.create_task(_await_end(serving, query.run))
    try:
        with serving.watch.taking_place(key=caller.key, wait_s=query.wait_s) as is_waiting:
            while True:
                found = serving.office.relays.find_delivery(
                    caller.member, query.run, query.plan, query.phase
                )
                if found is not None or not is_waiting():
                    return bodies.Delivery(messages=tuple(found or ()))
                require(not over.done(), Reason.RUN_OVER)
                await asyncio.sleep(STEP_S)
    finally:
        over.cancel()


async def _await_end(serving: Serving, run: RunId) -> None:
    """Return when the ledger says that a run is over; a busy node looks again later."""
    is_over = False
    while not is_over:
        await asyncio.sleep(LOOK_S)
        with contextlib.suppress(Refused):
            is_over = not is_under_way(await serving.watch.look(), run)


def accept_model(serving: Serving, caller: Caller, body: HandedIn) -> bodies.Nothing:
    """Take in what a site's run came to."""
    studies.accept_model(serving.office, caller.member, body)
    return bodies.Nothing()


def show_document(serving: Serving, query: bodies.DocumentQuery) -> bodies.Document:
    """Return a protocol, a model or a card by its hash."""
    return bodies.Document(content=get_document(serving.office.custody, query.digest))


def show_protocol(serving: Serving, query: bodies.ProtocolQuery) -> bodies.Document:
    """Return a study's protocol to the staff who may have to judge it; its owner's node is asked once."""
    content = studies.get_protocol_file(serving.office, query.study, partial(_show, serving))
    return bodies.Document(content=content)


def keep(serving: Serving, caller: Caller, body: bodies.Document) -> bodies.DocumentQuery:
    """Keep a study's protocol of a researcher's, for whoever asks for it by its hash."""
    _require_role(serving, caller, Role.RESEARCHER)
    read_protocol(body.content)
    if not is_kept(serving.office.custody, body.content):
        serving.gate.charge_draft(caller.person)
    return bodies.DocumentQuery(digest=keep_document(serving.office.custody, body.content))


def start_run(serving: Serving, caller: Caller, body: bodies.RunBody) -> bodies.StartedRun:
    """Begin a training for a researcher of the staff; this node registers what comes of it."""
    _require_role(serving, caller, Role.RESEARCHER)
    run = studies.start_run(
        serving.office, body.study, caller.person, supersedes=body.supersedes, without=body.without
    )
    serving.learning.register(run, supersedes=body.supersedes)
    return bodies.StartedRun(run=run)


def tell_standing(serving: Serving, query: bodies.RunQuery) -> Standing:
    """Return how far a run has come that this member carries, for its staff who watch."""
    return serving.office.relays.tell_standing(query.run)


def ask(serving: Serving, caller: Caller, body: bodies.QuestionBody) -> bodies.StartedRun:
    """Ask a study's rows a question for a researcher of the staff, once; this node registers the answer."""
    _require_role(serving, caller, Role.RESEARCHER)
    asked = read_question(body.question)
    begun = questions.ask(serving.office, body.study, caller.person, asked, without=body.without)
    if begun.is_new:
        serving.learning.register(begun.run, supersedes=None)
    return bodies.StartedRun(run=begun.run, is_new=begun.is_new)


def show_question(serving: Serving, query: bodies.RunQuery) -> bodies.Document:
    """Return what a run of this member's asks, for the sites that answer it."""
    return bodies.Document(content=get_question(serving.office.custody, query.run))


def prove_membership(serving: Serving, body: bodies.MembershipBody) -> memberships.MembershipProof:
    """Prove to a patient that a leaf is in a dataset of this member's, or that it is not."""
    return memberships.prove_membership(serving.office, body.dataset, body.leaf)


def build_dataset(serving: Serving, caller: Caller, body: bodies.DatasetBody) -> bodies.BegunDataset:
    """Begin to build this member's dataset for a study out of its vault; no row leaves the node."""
    _require_role(serving, caller, Role.ADMINISTRATOR)
    studies.fetch_missing_protocol(serving.office, body.study, partial(_show, serving))
    return bodies.BegunDataset(dataset=serving.learning.build(body.study, body.conditions))


async def await_dataset(serving: Serving, caller: Caller, query: bodies.DatasetWait) -> bodies.BuiltDataset:
    """Say whether a dataset that was begun here stands; with `wait_s`, wait until it does."""
    with serving.watch.taking_place(key=caller.key, wait_s=query.wait_s) as is_waiting:
        while True:
            is_built = serving.learning.is_built(query.dataset)
            if is_built or not is_waiting():
                return bodies.BuiltDataset(dataset=query.dataset, is_built=is_built)
            await asyncio.sleep(LOOK_S)


def show_conditions(serving: Serving, query: bodies.DatasetQuery) -> bodies.KeptConditions:
    """Return what may be done with the data of a dataset of this member's."""
    return bodies.KeptConditions(conditions=find_conditions(serving.office.custody, query.dataset))


def predict(serving: Serving, caller: Caller, body: bodies.PredictionBody) -> model_uses.Answer:
    """Ask a model about a patient whom the caller treats; the patient will see it."""
    wanted = model_uses.Application(
        person=caller.person, patient=read_patient(serving, body.patient), model=body.model
    )
    studied = model_uses.fetch_model(serving.office, body.model, partial(_show, serving))
    return model_uses.ask_model(serving.office, wanted, studied, body.row)


def _show(serving: Serving, owner: MemberId, digest: Digest) -> bytes:
    return serving.get_desk(owner).show_document(digest)


def _require_role(serving: Serving, caller: Caller, role: Role) -> None:
    person = PERSONS.find(serving.office.take_view(), caller.person)
    require(person is not None and role in person.roles, Reason.ROLE_MISSING)
