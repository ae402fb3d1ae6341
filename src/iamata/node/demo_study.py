"""The demo goes on: a study across the three hospitals, a model, ten who leave, and a model without them.

Each hospital has a registry of patients with keys of their own. A researcher of Lake Hospital asks;
reviewers elsewhere grant the permit; what is summed is masked; nobody's row leaves home.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from iamata.consent.data_use import Conditions, Permission, ResearchPurpose
from iamata.consent.purposes import RESEARCH
from iamata.consent.terms import Ruling, Terms
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.learning.evaluation.evaluating import Evaluation
from iamata.learning.protocols import Protocol, Regression, is_kept_out
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.ledger.entries import EhdsPurpose, ModelStatus, OwnerKind, Role
from iamata.ledger.tables import RUNS
from iamata.ledger.transactions.consents import GrantConsent, WithdrawConsent
from iamata.ledger.transactions.patients import EnrolPatient
from iamata.model.ids import ConsentId, MemberId, ModelId, PatientId, PersonId, StudyId
from iamata.model.instants import Day, Instant, compute_day
from iamata.node import wallets
from iamata.node.demo_stage import NORTH_REVIEWER, REGULATOR, SAMPLE_SEED, A, B, C, Story, hold
from iamata.node.home import Home
from iamata.node.learning import train
from iamata.sample.registry import OUTCOME, draw_registry
from iamata.workflows import datasets, studies, withdrawals
from iamata.workflows.author import Author
from iamata.workflows.consents import keep_terms_of
from iamata.workflows.documents import get_document, get_handed_in
from iamata.workflows.frozen_tables import PatientRows
from iamata.workflows.lineages import get_model, get_study
from iamata.workflows.office import Office
from iamata.workflows.wallets import salt_terms, sign_grant

PATIENTS: Final = 60
"""In each hospital's registry."""
LEAVING: Final = 10
DAYS: Final = 365
RESEARCHER: Final = "lake-researcher"
REGULATORS_REVIEWER: Final = "regulator-reviewer"
POLICY: Final = "urn:iamata:demo:research:1"
OWNER: Final = C
SITES: Final = tuple(sorted((A, B, C)))
LEFT: Final = B
"""Where patients leave."""

PROTOCOL: Final = Protocol(
    title="Who has high blood pressure",
    question="Do age, weight, pressure, sex and smoking tell who has high blood pressure?",
    purpose=ResearchPurpose(is_health=True),
    schema=Schema(
        columns=(
            Numeric(name="age", low=0.0, high=120.0),
            Categorical(name="sex", categories=("female", "male")),
            Numeric(name="bmi", low=10.0, high=80.0),
            Numeric(name="systolic", low=50.0, high=260.0),
            Categorical(name="smoked", categories=("no", "yes")),
        ),
        outcome=Outcome(name=OUTCOME),
    ),
    classes=("Condition", "Observation"),
    estimator=Regression(),
    holdout_percent=40,  # of 60 patients, so that no hospital keeps out fewer than ten
)


@dataclasses.dataclass(frozen=True, slots=True)
class Participant:
    """A patient with a key of their own, and the consent to research."""

    patient: PatientId
    consent: ConsentId
    key: SigningKey = dataclasses.field(repr=False)


def tell_study(story: Story) -> None:
    """Tell of the study from the question to the model without those who left."""
    home = story.home
    tables = {site: settle(home, home.get_office(site), number) for number, site in enumerate(SITES)}
    story.tell(
        f"{PATIENTS} patients of each hospital, with keys of their own, agree to research by {OWNER}."
    )
    study = get_permit(story)
    for site in SITES:
        office = home.get_office(site)
        studies.fetch_protocol(office, study, show_protocol(home, study))
        rows: PatientRows = {one.patient: [row] for one, row in tables[site]}
        datasets.build_dataset(office, study, rows, Conditions(permission=Permission.HEALTH_RESEARCH))
    story.tell(
        "Each hospital commits to the table of those who agreed; who is in it, the ledger does not say."
    )
    first, worth = learn(story, study, supersedes=None)
    trained = [one for one, _ in tables[LEFT] if not is_kept_out(PROTOCOL, one.patient)]
    leave(story, study, trained[:LEAVING])
    aged = get_model(home.engine.snapshot(), first)
    hold(aged.status is ModelStatus.STALE, "a model stayed current after withdrawals")
    second, _ = learn(story, study, supersedes=first)
    view = home.engine.snapshot()
    statuses = get_model(view, first).status, get_model(view, second).status
    hold(statuses == (ModelStatus.SUPERSEDED, ModelStatus.CURRENT), "the new model is not in place")
    story.tell("The model without them is in its place: equal to one that had never seen them.")
    story.facts["study"] = {
        "study": study,
        "patients": PATIENTS * len(SITES),
        "left": LEAVING,
        "models": [first, second],
        "auroc": None if worth is None else round(worth.auroc.value, 3),
    }


def get_permit(story: Story) -> StudyId:
    """Let the researcher ask, and reviewers of two other members agree."""
    home = story.home
    identity = wallets.admit_person(
        home, story.find_wallet(RESEARCHER), member=OWNER, roles=(Role.RESEARCHER,)
    )
    story.people[RESEARCHER] = PersonId(identity.id)
    wallets.admit_person(
        home, story.find_wallet(REGULATORS_REVIEWER), member=REGULATOR, roles=(Role.REVIEWER,)
    )
    proposal = studies.Proposal(
        uses=("DUO:0000006",),
        purpose=EhdsPurpose.RESEARCH,
        sites=SITES,
        until_day=Day(compute_day(home.clock()) + DAYS),
    )
    document = msgspec.json.format(msgspec.json.encode(PROTOCOL))
    researcher = story.get_author(RESEARCHER, OWNER)
    study = studies.propose_study(home.get_office(OWNER), researcher, document, proposal)
    for name, member in (
        (NORTH_REVIEWER, A),
        (REGULATORS_REVIEWER, REGULATOR),
    ):
        reviewer = story.get_author(name, member)
        studies.review_study(reviewer, study, is_approval=True, grounds="Useful, and nobody can be named.")
    story.tell(
        f"A researcher asks «{PROTOCOL.question}», and reviewers of two other members grant the permit."
    )
    return study


def settle(home: Home, office: Office, number: int) -> list[tuple[Participant, dict[str, float | str]]]:
    """Draw a hospital's registry, and let its patients enrol with keys of their own and consent."""
    rows = list(draw_registry(SAMPLE_SEED, first=number * PATIENTS, count=PATIENTS))
    people = [draw_participant(office.author) for _ in rows]
    let_agree(home, office, people, recipient=OWNER)
    return list(zip(people, rows, strict=True))


def draw_participant(chance: Author) -> Participant:
    """Draw a patient's ids and key."""
    patient, consent = PatientId(chance.make_id()), ConsentId(chance.make_id())
    return Participant(patient, consent, SigningKey.from_seed(os.urandom(SEED_BYTES)))


def let_agree(home: Home, office: Office, people: Sequence[Participant], *, recipient: MemberId) -> None:
    """Enrol patients, and let each consent to research by one member: side by side."""
    authors = {one.patient: home.author(one.key) for one in people}
    proofs = {
        patient: author.prove_possession(OwnerKind.PATIENT, patient, member=office.member)
        for patient, author in authors.items()
    }
    office.submit_all(
        [(EnrolPatient, {"patient": one, "possession": proof}) for one, proof in proofs.items()]
    )
    terms, until_day = write_terms(home, recipient)
    grants = []
    for one in people:
        salted = salt_terms(terms, authors[one.patient])
        keep_terms_of(office, one.patient, one.consent, salted)
        grant = sign_grant(
            authors[one.patient],
            salted,
            consent=one.consent,
            patient=one.patient,
            custodian=office.member,
            until_day=until_day,
        )
        grants.append((GrantConsent, {"grant": grant}))
    office.submit_all(grants)


def write_terms(home: Home, recipient: MemberId) -> tuple[Terms, Day]:
    """Write what the patients agree to, and for how long."""
    terms = Terms(
        decision=Ruling.PERMIT,
        recipients=(f"member:{recipient}",),
        purposes=(RESEARCH,),
        labels=("N",),
        recorded_ms=Instant(home.clock()),
        policy=POLICY,
    )
    return terms, Day(compute_day(home.clock()) + DAYS)


def learn(story: Story, study: StudyId, *, supersedes: ModelId | None) -> tuple[ModelId, Evaluation | None]:
    """Train on what stands, and tell what came of it."""
    rounds: list[str] = []
    model = train(
        story.home,
        study,
        owner=OWNER,
        researcher=story.people[RESEARCHER],
        supersedes=supersedes,
        tell=lambda site, one: rounds.append(one.query) if site == OWNER else None,
    )
    entry = get_model(story.home.engine.snapshot(), model)
    run = RUNS.find(story.home.engine.snapshot(), entry.run)
    custody = story.home.get_office(OWNER).custody
    transcript = entry.content if run is None else run.attestations[0].transcript
    worth = studies.read_evaluation(get_handed_in(custody, entry.run, transcript))
    said = "" if worth is None else f"; on patients who were kept out, AUROC {worth.auroc.value:.3f}"
    story.tell(
        f"A model is trained in {len(rounds)} masked sums over three hospitals, attested by each{said}."
    )
    return model, worth


def leave(story: Story, study: StudyId, people: Sequence[Participant]) -> None:
    """Let patients withdraw, each with a key of their own, and the custodian do what that asks of it."""
    for one in people:
        story.home.author(one.key).submit(WithdrawConsent, consent=one.consent)
    step = withdrawals.look_after(story.home.get_office(LEFT), study)
    hold(step is withdrawals.Step.REPLACED, "the dataset was not replaced")
    story.tell(
        f"{len(people)} patients of {LEFT} withdraw. Its table is replaced by one without them, and in "
        "that very block the model is stale."
    )


def show_protocol(home: Home, study: StudyId) -> bytes:
    """Return the protocol's document, as the owner keeps it."""
    protocol = get_study(home.engine.snapshot(), study).protocol
    return get_document(home.get_office(OWNER).custody, protocol)
