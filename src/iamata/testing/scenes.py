"""A scene for tests of use cases: hospital A keeps Anna's records, and Ben at hospital B wants to read.

Hospital A's stores and the ledger's engine can be watched, filled and stopped.
"""

import dataclasses
from typing import Any

from iamata.consent.terms import Terms
from iamata.ledger.entries import Parameters, Role
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.transactions.late_emergencies import LateDeclaration
from iamata.ledger.transactions.persons import RevokePerson
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, SuspendMember
from iamata.model.ids import AccessId, ConsentId, MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_HOUR, Day, Instant
from iamata.model.reasons import Refused
from iamata.testing import offices
from iamata.testing.watching import BrittleEngine, WatchedStores
from iamata.testing.world import Party, World
from iamata.workflows import accesses, disclosures, emergencies, receiving
from iamata.workflows.messages import Release
from iamata.workflows.office import Office

LABELS = {"plain": ("N",), "private": ("R",), "alcohol": ("R", "ETH"), "mind": ("R", "PSY")}
"""Anna's records, by name."""


@dataclasses.dataclass(slots=True)
class Scene:
    """Who and what is on stage."""

    world: World
    engine: BrittleEngine
    stores: WatchedStores
    a: Office
    b: Office
    anna: Party
    ben: Party

    @classmethod
    def make(cls, *, parameters: Parameters = DEFAULT_PARAMETERS) -> "Scene":
        """Set the scene: Anna has four records at A, and has decided nothing."""
        world = World.found(make_engine=BrittleEngine, parameters=parameters)
        if not isinstance(world.engine, BrittleEngine):
            raise TypeError(world.engine)
        stores = WatchedStores.make()
        scene = cls(
            world=world,
            engine=world.engine,
            stores=stores,
            a=offices.open_office(world, "hospital-a", stores=stores),
            b=offices.open_office(world, "hospital-b"),
            anna=world.enrol_patient("anna", custodian="hospital-a"),
            ben=world.register_person("ben", member="hospital-b"),
        )
        offices.keep_records(scene.a, scene.anna, LABELS)
        return scene

    def terms(self, **rule: Any) -> Terms:  # noqa: ANN401  a rule's fields
        """Write terms: unless told otherwise, treatment by hospital B, of what is normal."""
        return offices.write_terms(self.world, **rule)

    def grant(
        self,
        *,
        days: int = 365,
        replaces: ConsentId | None = None,
        patient: Party | None = None,
        **rule: Any,  # noqa: ANN401
    ) -> ConsentId:
        """Let Anna, or another, consent."""
        terms = self.terms(**rule)
        return offices.grant(self.world, self.a, patient or self.anna, terms, days=days, replaces=replaces)

    def ask(self, *, person: Party | None = None, **changes: Any) -> str:  # noqa: ANN401  of the request
        """Let Ben, or another, ask with Anna's share code."""
        return offices.ask(self.b, person or self.ben, self.anna, **changes)

    def answer(self, request: str | None = None) -> tuple[Release, ...]:
        """Let A answer."""
        return disclosures.answer_request(self.a, request or self.ask())

    def receive(
        self, release: Release, *, person: Party | None = None, request: str | None = None
    ) -> receiving.Received:
        """Let B open what came."""
        who = PersonId((person or self.ben).id)
        return receiving.receive(self.b, release, custodian=self.a.member, person=who, request=request)

    def read(self, request: str | None = None, *, person: Party | None = None) -> list[str]:
        """Let Ben, or another, ask and read; name the records, or nothing where A refuses."""
        try:
            releases = self.answer(request)
        except Refused:
            return []
        received = [self.receive(one, person=person, request=request) for one in releases]
        return [
            record.read_header().facts.record.partition("/")[2]
            for one in received
            for record in one.records
        ]

    def looked(self, **claims: Any) -> list[accesses.CheckedAccess]:  # noqa: ANN401  what the wallet holds it against
        """Let Anna ask who looked, and check the answer."""
        return self.check(offices.list_accesses(self.a, self.anna), **claims)

    def check(
        self,
        proofs: tuple[accesses.AccessProof, ...],
        **claims: Any,  # noqa: ANN401  as above
    ) -> list[accesses.CheckedAccess]:
        """Check an answer as Anna's wallet does."""
        disclosed = accesses.list_disclosed(self.engine, PatientId(self.anna.id))
        held: dict[str, Any] = {"patient": self.anna.id, "disclosed": disclosed, **claims}
        return list(accesses.check_accesses(proofs, self.engine.genesis, custodian=self.a.member, **held))

    def declare(self, person: Party, *, patient: Party | None = None) -> AccessId:
        """Let a person break the glass for Anna, or another."""
        about = PatientId((patient or self.anna).id)
        return emergencies.declare(
            person.author, patient=about, reason="Unconscious after a fall"
        ).emergency

    def declare_late(self, person: Party, **changes: Any) -> str:  # noqa: ANN401  fields of the declaration
        """Let a person break the glass for Anna at A without the ledger, for an hour."""
        declared_ms = changes.get("declared_ms", self.world.clock())
        fields: dict[str, Any] = {
            "emergency": person.author.make_id(),
            "custodian": self.a.member,
            "patient": PatientId(self.anna.id),
            "commitment": self.world.derive_commitment("reason"),
            "declared_ms": Instant(declared_ms),
            "until_ms": Instant(declared_ms + MS_PER_HOUR),
        }
        return person.author.state(LateDeclaration, **(fields | changes)).text

    def ask_late(self, person: Party, declaration: str | None = None, *, purpose: str = "BTG") -> str:
        """Let a person ask A through B with what they declared without the ledger."""
        declared = self.declare_late(person) if declaration is None else declaration
        who = PersonId(person.id)
        return receiving.ask_late(self.b, person=who, purpose=purpose, declaration=declared)[1]

    def privileged(self, name: str, *, member: str = "hospital-b") -> Party:
        """Introduce a clinician who may break the glass."""
        return self.world.register_person(name, member=member, roles=(Role.CLINICIAN, Role.EMERGENCY))

    def revoke(self, person: Party) -> None:
        """Let a member end what a person may do."""
        self.world.node(person.custodian).author.submit(RevokePerson, person=PersonId(person.id))

    def suspend(self, member: str) -> None:
        """Let the others suspend a member."""
        proposal = self.world.derive_id("suspend", member)
        self.world.administrator("hospital-a").author.submit(
            OpenProposal,
            proposal=proposal,
            action=SuspendMember(member=MemberId(member)),
            until_day=Day(self.world.today + 7),
        )
        for voter in ("hospital-c", "regulator"):
            self.world.administrator(voter).author.submit(CastVote, proposal=proposal, is_approval=True)
