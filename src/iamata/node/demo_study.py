"""The demo goes on: a study across the three hospitals, a model, ten who leave, and a model without them.

Each hospital knows patients with keys of their own. A researcher of Lake Hospital asks; reviewers elsewhere
grant the permit; rows are made of records in the vault; what is summed is masked; nobody's row leaves home.
"""

import dataclasses
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from iamata.consent.data_use import Conditions, Permission
from iamata.consent.purposes import RESEARCH
from iamata.consent.terms import Ruling, Terms
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.intake.progress import Progress
from iamata.learning.evaluation.evaluating import Evaluation
from iamata.learning.evaluation.kinds import read_evaluation
from iamata.learning.protocols import is_kept_out
from iamata.ledger.entries import EhdsPurpose, ModelStatus, OwnerKind, Role
from iamata.ledger.tables import RUNS
from iamata.ledger.transactions.consents import GrantConsent, WithdrawConsent
from iamata.ledger.transactions.patients import EnrolPatient
from iamata.model.ids import ConsentId, MemberId, ModelId, PatientId, PersonId, StudyId
from iamata.model.instants import Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.node import studying, wallets
from iamata.node.demo_cohort import AGE_MIN, PROTOCOL, draw_charts, write_charts
from iamata.node.demo_stage import NORTH_REVIEWER, REGULATOR, A, B, C, Stage, Story, hold
from iamata.node.gathering import build_from_records
from iamata.node.home import Home
from iamata.node.identities import sign_as
from iamata.node.importing import import_files
from iamata.node.model_checks import verify_at_home
from iamata.sample.generating import Part
from iamata.stores.wallets import load_wallet
from iamata.workflows import studies, withdrawals
from iamata.workflows.author import Author, settle
from iamata.workflows.consents import keep_terms_of
from iamata.workflows.documents import get_handed_in
from iamata.workflows.lineages import get_model
from iamata.workflows.model_verification import Ground
from iamata.workflows.office import Office
from iamata.workflows.wallets import salt_terms, sign_grant

PATIENTS: Final = 80
"""Of each hospital, in the study."""
LEAVING: Final = 10
DAYS: Final = 365
RESEARCHER: Final = "lake-researcher"
REGULATORS_REVIEWER: Final = "regulator-reviewer"
POLICY: Final = "urn:iamata:demo:research:1"
OWNER: Final = C
SITES: Final = tuple(sorted((A, B, C)))
LEFT: Final = B
"""Where patients leave."""


@dataclasses.dataclass(frozen=True, slots=True)
class Participant:
    """A patient with a key of their own, and the consent to research."""

    patient: PatientId
    consent: ConsentId
    key: SigningKey = dataclasses.field(repr=False)


def tell_study(story: Story, stage: Stage) -> None:
    """Tell of the study from the question to the model without those who left, each model verified."""
    study = get_permit(story, stage)
    tables = {
        site: commit_table(stage, study, site, parts)
        for site, parts in zip(SITES, draw_charts(len(SITES), PATIENTS), strict=True)
    }
    story.tell(
        f"{PATIENTS} patients of each hospital, {AGE_MIN} or older and with keys of their own, agree to "
        f"research by {OWNER}. Each hospital makes a row of each one's records, as the protocol says, and "
        "commits to its table; who is in it, the ledger does not say."
    )
    first, worth = learn(story, stage, study, supersedes=None)
    trained = [one for one in tables[LEFT] if not is_kept_out(PROTOCOL, one.patient)]
    leave(story, stage, study, trained[:LEAVING], model=first)
    second, _ = learn(story, stage, study, supersedes=first)
    with stage.come_as(RESEARCHER, OWNER) as place:
        view = place.engine.snapshot()
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


def get_permit(story: Story, stage: Stage) -> StudyId:
    """Let the researcher ask, and reviewers of two other members agree."""
    for name, member, role in (
        (RESEARCHER, OWNER, Role.RESEARCHER),
        (REGULATORS_REVIEWER, REGULATOR, Role.REVIEWER),
    ):
        with stage.working_at(member) as home:
            identity = wallets.admit_person(
                home, stage.find_wallet(member, name), member=member, roles=(role,)
            )
        story.people[name] = PersonId(identity.id)
    document = msgspec.json.format(msgspec.json.encode(PROTOCOL))
    with stage.come_as(RESEARCHER, OWNER) as place:
        proposal = studies.Proposal(
            uses=("DUO:0000006",),
            purpose=EhdsPurpose.RESEARCH,
            sites=SITES,
            until_day=Day(compute_day(place.clock()) + DAYS),
        )
        researcher = sign_as(place, load_wallet(stage.find_wallet(OWNER, RESEARCHER)), OWNER)[1]
        study = studying.propose(place, researcher, document, proposal, owner=OWNER)
    for name, member in ((NORTH_REVIEWER, A), (REGULATORS_REVIEWER, REGULATOR)):
        with stage.come_as(name, member) as place:
            reviewer = sign_as(place, load_wallet(stage.find_wallet(member, name)), member)[1]
            studies.review_study(
                reviewer, study, is_approval=True, grounds="Useful, and nobody can be named."
            )
    story.tell(
        f"A researcher asks «{PROTOCOL.question}», and reviewers of two other members grant the permit."
    )
    return study


def commit_table(stage: Stage, study: StudyId, site: MemberId, parts: Sequence[Part]) -> list[Participant]:
    """Let a hospital's patients enrol with their keys and agree, and it make rows of their records."""
    with stage.working_at(site) as home, tempfile.TemporaryDirectory() as folder:
        office = home.get_office(site)
        names = list(write_charts(Path(folder), parts))
        people = [draw_participant(office.author, office.compute_pseudonym(name)) for name in names]
        let_agree(home, office, people, recipient=OWNER)
        report = import_files(office, [Path(folder)], progress=Progress(), tell=lambda _: None)
        hold(not report.problems, "a record could not be read")
        build_from_records(
            home,
            study,
            member=site,
            conditions=Conditions(permission=Permission.HEALTH_RESEARCH),
            protocol=studying.fetch_protocol(home, study),
        )
    return people


def draw_participant(chance: Author, patient: PatientId | None = None) -> Participant:
    """Draw a patient's key and consent, and a pseudonym where the patient has none."""
    consent = ConsentId(chance.make_id())
    key = SigningKey.from_seed(os.urandom(SEED_BYTES))
    return Participant(patient or PatientId(chance.make_id()), consent, key)


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


def learn(
    story: Story, stage: Stage, study: StudyId, *, supersedes: ModelId | None
) -> tuple[ModelId, Evaluation | None]:
    """Train on what stands, tell what came of it, and let the owner verify it."""
    begun_s = time.perf_counter()
    model = stage.train(RESEARCHER, OWNER, study, supersedes=supersedes)
    seconds = time.perf_counter() - begun_s
    with stage.working_at(OWNER) as home:
        worth = find_worth(home, model)
        statements = verify_at_home(home, model, file=None)
    hold(all(one.holds for one in statements), "a model could not be verified")
    said = "" if worth is None else f"; on patients who were kept out, AUROC {worth.auroc.value:.3f}"
    story.tell(
        f"In {seconds:.1f} s a model is trained in masked sums over {len(SITES)} hospitals, attested by "
        f"each{said}."
    )
    grounds = Counter(one.ground for one in statements)
    counts = ", ".join(f"{grounds[one]} {one}" for one in Ground)
    story.tell(f"Its card is written, and {OWNER} verifies all that it rests on: {counts}.")
    return model, worth


def find_worth(home: Home, model: ModelId) -> Evaluation | None:
    """Return what the sites handed in on how well a model does, at the home of its study's owner."""
    view = home.engine.snapshot()
    run_id = get_model(view, model).run
    run = RUNS.find(view, run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    transcript = run.attestations[0].transcript
    _, raw = get_handed_in(home.get_office(OWNER).custody, run_id, transcript)
    worth = read_evaluation(raw)
    return worth if isinstance(worth, Evaluation) else None


def leave(
    story: Story, stage: Stage, study: StudyId, people: Sequence[Participant], *, model: ModelId
) -> None:
    """Let patients withdraw, each with a key of their own, and the custodian do what that asks of it."""
    with stage.working_at(LEFT) as home:
        sent = [
            home.engine.submit(home.author(one.key).write(WithdrawConsent, consent=one.consent))
            for one in people
        ]
        for future in sent:
            settle(future)
        step = withdrawals.look_after(home.get_office(LEFT), study)
        hold(step is withdrawals.Step.REPLACED, "the dataset was not replaced")
        aged = get_model(home.engine.snapshot(), model)
    hold(aged.status is ModelStatus.STALE, "a model stayed current after withdrawals")
    story.tell(
        f"{len(people)} patients of {LEFT} withdraw. Its table is replaced by one without them, and in "
        "that very block the model is stale."
    )
