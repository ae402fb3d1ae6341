"""A study in a little world: an institute asks, patients of four hospitals agree or do not, and it learns.

What is learned follows a known law: the outcome's log-odds are -1 + 2·marker + 1.5 where the patient
smokes, so a test can hold coefficients against it and against a fit on all rows at once.
"""

import math
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from iamata.consent.data_use import Conditions, Permission, ResearchPurpose
from iamata.consent.terms import Ruling, Selector
from iamata.learning.evaluation.evaluating import Plan
from iamata.learning.protocols import Learned, Protocol, Regression, is_kept_out
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.ledger.entries import EhdsPurpose, MemberKind, Role
from iamata.ledger.tables import RUNS
from iamata.ledger.transactions.consents import RestrictConsent, WithdrawConsent
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, SuspendMember
from iamata.model.ids import (
    ConsentId,
    DatasetId,
    Digest,
    MemberId,
    ModelId,
    PatientId,
    ProposalId,
    RunId,
    StudyId,
)
from iamata.model.instants import Day
from iamata.node.desks import LocalDesk
from iamata.testing.offices import grant, open_office, salt, write_terms
from iamata.testing.world import Party, World
from iamata.wire.carrying import DeskCarrier
from iamata.workflows import consents, datasets, studies, training
from iamata.workflows.documents import get_document
from iamata.workflows.exchanging import SILENCE_S_MAX, Carrier
from iamata.workflows.frozen_tables import PatientRows, Row
from iamata.workflows.lineages import list_sites

OWNER: Final = MemberId("institute")
SITES: Final = tuple(MemberId(f"hospital-{letter}") for letter in "abcd")
REVIEWERS: Final = ("hospital-a", "regulator")
FOUNDERS: Final[dict[str, MemberKind]] = {
    **dict.fromkeys(SITES, MemberKind.HOSPITAL),
    OWNER: MemberKind.RESEARCH,
    "regulator": MemberKind.REGULATOR,
}
SCHEMA: Final = Schema(
    columns=(
        Numeric(name="marker", low=-5.0, high=5.0),
        Categorical(name="smokes", categories=("no", "yes")),
    ),
    outcome=Outcome(name="ill"),
)
OPEN: Final = Schema(
    columns=(
        Numeric(name="marker", low=-5.0, high=5.0, outside="clip"),
        Categorical(name="smokes", categories=("no", "yes"), outside="missing"),
    ),
    outcome=SCHEMA.outcome,
)
"""Of a study with noise: no row that is not as it should be may show by a refusal."""
SMOKERS: Final = 0.3
Wrap: TypeAlias = Callable[[MemberId, Carrier], Carrier]
HEALTH: Final = Conditions(permission=Permission.HEALTH_RESEARCH)


def write_protocol(**changes: Any) -> Protocol:  # noqa: ANN401  a protocol's fields
    """Write the protocol of a study in this world."""
    fields: dict[str, Any] = {
        "title": "Who falls ill",
        "question": "Do a marker and smoking tell who falls ill?",
        "purpose": ResearchPurpose(is_health=True),
        "schema": SCHEMA,
        "classes": ("Observation",),
        "estimator": Regression(),
        "holdout_percent": 0,
        "evaluation": Plan(cells=64),
    }
    return Protocol(**(fields | changes))


def draw_rows(count: int, seed: int) -> list[Row]:
    """Draw the rows of so many patients by the law above."""
    chance = random.Random(seed)  # noqa: S311  a seed makes a world repeatable; nothing here is secret
    rows: list[Row] = []
    for _ in range(count):
        marker, smokes = chance.gauss(0.0, 1.0), chance.random() < SMOKERS
        odds = -1.0 + 2.0 * marker + 1.5 * smokes
        is_ill = chance.random() < 1.0 / (1.0 + math.exp(-odds))
        rows.append({"marker": marker, "smokes": "yes" if smokes else "no", "ill": int(is_ill)})
    return rows


class Killed(BaseException):
    """The end of a site's node, in the midst of what it does: not a word more comes from it."""


class StudyWorld:
    """An institute, four hospitals with their patients, and a study among them."""

    def __init__(
        self,
        *,
        patients: int = 40,
        protocol: Protocol | None = None,
        budget_micro: int = 0,
        days: int = 365,
    ) -> None:
        """Found the world, and let its study be granted."""
        self.world = World.found("study", founders=FOUNDERS)
        self.offices = {member: open_office(self.world, member) for member in (OWNER, *SITES)}
        self.protocol = protocol or write_protocol()
        self.rosa = self.world.register_person("rosa", member=OWNER, roles=(Role.RESEARCHER,))
        self.reviewers = [
            self.world.register_person(f"reviewer-{member}", member=member, roles=(Role.REVIEWER,))
            for member in REVIEWERS
        ]
        self.patients: dict[MemberId, list[Party]] = {}
        self.consents: dict[PatientId, ConsentId] = {}
        self.rows: dict[MemberId, dict[PatientId, list[Row]]] = {}
        for number, site in enumerate(SITES):
            self._settle(site, patients, number)
        self.study = self.permit(self.protocol, budget_micro=budget_micro, days=days)

    def suspend(self, member: MemberId) -> None:
        """Let the others suspend a member."""
        proposal = ProposalId(self.world.derive_id("suspend", member))
        first, *others = [one for one in FOUNDERS if one != member]
        self.world.administrator(first).author.submit(
            OpenProposal,
            proposal=proposal,
            action=SuspendMember(member=member),
            until_day=Day(self.world.today + 7),
        )
        for voter in others[:3]:
            self.world.administrator(voter).author.submit(CastVote, proposal=proposal, is_approval=True)

    def withdraw(self, site: MemberId, count: int, *, kept_out: bool = False) -> list[PatientId]:
        """Let so many patients of a site leave, of those who train or of those who are kept out."""
        agreed = [one for one in self.patients[site] if one.id in self.consents]
        leaving = [one for one in agreed if is_kept_out(self.protocol, one.id) is kept_out][:count]
        for one in leaving:
            one.author.submit(WithdrawConsent, consent=self.consents.pop(one.id))
        return [one.id for one in leaving]

    def keep_back(
        self,
        site: MemberId,
        count: int,
        *,
        data: Callable[[PatientId], tuple[Selector, ...]] = lambda _: (),
        purposes: tuple[str, ...] = ("HRESCH",),
        **rule: Any,  # noqa: ANN401  a rule's fields
    ) -> list[PatientId]:
        """Let so many patients of a site take back the records that a rule matches."""
        restricting = [one for one in self.patients[site] if one.id in self.consents][:count]
        for one in restricting:
            said: dict[str, Any] = {"recipients": (), "labels": (), "purposes": purposes} | rule
            terms = write_terms(self.world, decision=Ruling.DENY, data=data(PatientId(one.id)), **said)
            salted = salt(one, terms)
            one.author.submit(RestrictConsent, consent=self.consents[one.id], terms=salted.commit())
            consents.accept_restriction(self.offices[site], PatientId(one.id), salted)
        return [PatientId(one.id) for one in restricting]

    def agree_anew(self, site: MemberId, patient: Party, purpose: str) -> None:
        """Let a patient put the consent to another purpose in the place of the one on file."""
        terms = write_terms(self.world, recipients=(f"member:{OWNER}",), purposes=(purpose,))
        before = self.consents[patient.id]
        self.consents[patient.id] = grant(self.world, self.offices[site], patient, terms, replaces=before)

    def build(
        self, site: MemberId, conditions: Conditions = HEALTH, *, study: StudyId | None = None
    ) -> DatasetId:
        """Let a site build its dataset for the study, or for another one."""
        rows: PatientRows = self.rows[site]
        return datasets.build_dataset(self.offices[site], study or self.study, rows, conditions)

    def start(self, *, without: Sequence[MemberId] = ()) -> RunId:
        """Let the institute begin a run on what stands."""
        return studies.start_run(self.offices[OWNER], self.study, self.rosa.id, without=without)

    def train(
        self, run: RunId, *, wrap: Wrap = lambda _, carrier: carrier, silence_s: float = SILENCE_S_MAX
    ) -> dict[MemberId, Learned | BaseException]:
        """Let all sites take part in a run, and return what each came to; `wrap` changes who carries."""
        came: dict[MemberId, Learned | BaseException] = {}

        def take_part(site: MemberId) -> None:
            try:
                carrier = wrap(site, DeskCarrier(LocalDesk(self.offices[OWNER]), self.offices[site]))
                came[site] = training.take_part(self.offices[site], run, carrier, silence_s=silence_s)
            except (Exception, Killed) as error:  # noqa: BLE001  a test looks at it
                came[site] = error

        threads = [threading.Thread(target=take_part, args=(site,)) for site in self._list_sites(run)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return came

    def learn(self, *, supersedes: ModelId | None = None, without: Sequence[MemberId] = ()) -> ModelId:
        """Train on what stands, and put the model on record."""
        run = self.start(without=without)
        came = self.train(run)
        for one in came.values():
            if isinstance(one, BaseException):
                raise one
        return studies.register_model(self.offices[OWNER], run, supersedes=supersedes)

    def _list_sites(self, run: RunId) -> list[MemberId]:
        """List who takes part in a run; in one that the ledger does not know, everybody tries."""
        view = self.world.engine.snapshot()
        entry = RUNS.find(view, run)
        if entry is None:
            return list(SITES)
        return list_sites(view, entry)

    def _settle(self, site: MemberId, count: int, seed: int) -> None:
        self.patients[site], self.rows[site] = [], {}
        terms = write_terms(self.world, recipients=(f"member:{OWNER}",), purposes=("HRESCH",))
        for number, row in enumerate(draw_rows(count, seed)):
            patient = self.world.enrol_patient(f"patient-{number}", custodian=site)
            self.patients[site].append(patient)
            self.rows[site][patient.id] = [row]
            self.consents[patient.id] = grant(self.world, self.offices[site], patient, terms)

    def permit(
        self,
        protocol: Protocol,
        *,
        purpose: EhdsPurpose = EhdsPurpose.RESEARCH,
        budget_micro: int = 0,
        days: int = 365,
    ) -> StudyId:
        """Let a study be proposed, and reviewers grant it."""
        document = msgspec.json.encode(protocol)
        proposal = studies.Proposal(
            uses=("DUO:0000006",),
            purpose=purpose,
            sites=SITES,
            until_day=Day(self.world.today + days),
            budget_micro=budget_micro,
        )
        study = studies.propose_study(self.offices[OWNER], self.rosa.author, document, proposal)
        for reviewer in self.reviewers:
            studies.review_study(reviewer.author, study, is_approval=True, grounds="Sound and useful")
        for site in SITES:
            studies.fetch_protocol(self.offices[site], study, document)
        return study

    def read_model(self, content: Digest) -> bytes:
        """Return a model's file as the institute keeps it."""
        return get_document(self.offices[OWNER].custody, content)
