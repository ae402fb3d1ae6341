"""A little world: founders, staff and patients whose keys a seed decides, on any engine.

`World.found()` gives three hospitals and a regulator on a ledger in memory; hand it another engine's
constructor to try the same world there.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.hpke import derive_sealing_key
from iamata.ledger.entries import MemberKind, OwnerKind, Parameters, Role, Validator
from iamata.ledger.genesis import Genesis
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.rules import NEWEST
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.consents import Grant, GrantConsent
from iamata.ledger.transactions.patients import EnrolCustodialPatient, EnrolPatient
from iamata.ledger.transactions.persons import RegisterPerson
from iamata.model.ids import (
    DIGEST_BYTES,
    RANDOM_ID_BYTES,
    Commitment,
    ConsentId,
    MemberId,
    PatientId,
    PersonId,
    SealingKey,
    compute_random_id,
    encode_digest,
)
from iamata.model.instants import Day, compute_day
from iamata.ports import Engine
from iamata.testing.clock import FakeClock
from iamata.testing.engine import MemoryEngine
from iamata.testing.entropy import SeededEntropy, derive_bytes, derive_key
from iamata.workflows.author import Author
from iamata.workflows.founding import FoundingMember, draw_founder, write_genesis

SUBMIT_DAYS: Final = 2
"""How long a custodian may take to post a grant."""
FOUNDERS: Final[Mapping[str, MemberKind]] = {
    "hospital-a": MemberKind.HOSPITAL,
    "hospital-b": MemberKind.HOSPITAL,
    "hospital-c": MemberKind.HOSPITAL,
    "regulator": MemberKind.REGULATOR,
}


class MakeEngine(Protocol):
    """Whatever makes an engine out of a genesis, the orderer's key and a clock."""

    def __call__(self, genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]) -> Engine:
        """Make an engine."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Party:
    """Somebody on the ledger, and the author that signs for them."""

    id: Any
    """A member's, person's or patient's id: the caller knows which."""
    custodian: MemberId
    """Of a patient the custodian; of a person or a node its member."""
    author: Author


class World:
    """A network with its inhabitants; everything in it follows from the seed and the clock."""

    def __init__(
        self,
        *,
        engine: Engine,
        orderer: SigningKey,
        clock: FakeClock,
        seed: str,
        founders: list[FoundingMember],
    ) -> None:
        self.engine = engine
        self.orderer = orderer
        self.clock = clock
        self.seed = seed
        self.founders = {founder.member: founder for founder in founders}
        self.entropy = SeededEntropy(f"{seed}/chance")

    @classmethod
    def found(  # noqa: PLR0913  what a network is founded with
        cls,
        seed: str = "world",
        *,
        make_engine: MakeEngine = MemoryEngine,
        founders: Mapping[str, MemberKind] = FOUNDERS,
        parameters: Parameters = DEFAULT_PARAMETERS,
        rules: int = NEWEST,
        validators: Sequence[str] = (),
    ) -> "World":
        """Found a network of these members, at the fake clock's first instant.

        With validators no one signer orders; only the rules run here, so no consensus does either.
        """
        clock, entropy = FakeClock(), SeededEntropy(f"{seed}/founding")
        founding = [
            draw_founder(MemberId(member), member.title(), kind, entropy)
            for member, kind in founders.items()
        ]
        orderer_seed = derive_bytes(seed, "orderer", length=DIGEST_BYTES)
        genesis = write_genesis(
            f"World {seed}", founding, orderer_seed=orderer_seed, created_ms=clock(), entropy=entropy
        )
        genesis = msgspec.structs.replace(genesis, parameters=parameters, rules=rules)
        if validators:
            genesis = msgspec.structs.replace(
                genesis,
                orderer=msgspec.UNSET,
                validators=tuple(
                    Validator(member=MemberId(one), key=derive_key(seed, "validator", one).key_id, power=1)
                    for one in validators
                ),
            )
        orderer = SigningKey.from_seed(orderer_seed)
        clock.advance(1)
        engine = make_engine(genesis, orderer=orderer, clock=clock)
        return cls(engine=engine, orderer=orderer, clock=clock, seed=seed, founders=founding)

    @property
    def memory(self) -> MemoryEngine:
        """The engine, where it is the one in memory."""
        if not isinstance(self.engine, MemoryEngine):
            message = "this world runs on another engine"
            raise TypeError(message)
        return self.engine

    @property
    def today(self) -> Day:
        """The UTC day that the clock shows."""
        return compute_day(self.clock())

    def sign_as(self, key: SigningKey) -> Author:
        """Write with any key."""
        return Author(self.engine, key, self.clock, self.entropy)

    def node(self, member: str) -> Party:
        """Return the node of a founder."""
        founder = self.founders[MemberId(member)]
        key = SigningKey.from_seed(founder.signing_seed)
        return Party(id=member, custodian=MemberId(member), author=self.sign_as(key))

    def administrator(self, member: str) -> Party:
        """Return the administrator of a founder."""
        founder = self.founders[MemberId(member)]
        key = SigningKey.from_seed(founder.administrator_seed)
        return Party(id=founder.administrator, custodian=MemberId(member), author=self.sign_as(key))

    def stranger(self, name: str) -> Author:
        """Return an author whose key the ledger has never seen."""
        return self.sign_as(derive_key(self.seed, "stranger", name))

    def derive_id(self, *words: str) -> Any:  # noqa: ANN401  the caller knows which id it means
        """Derive an id from words."""
        return compute_random_id(derive_bytes(self.seed, "id", *words, length=RANDOM_ID_BYTES))

    def derive_sealing_key(self, *words: str) -> SealingKey:
        """Derive a key to seal to from words."""
        return derive_sealing_key(derive_bytes(self.seed, "sealing", *words, length=DIGEST_BYTES))

    def derive_commitment(self, *words: str) -> Commitment:
        """Derive what looks like a commitment from words."""
        return Commitment(encode_digest(derive_bytes(self.seed, "commitment", *words, length=DIGEST_BYTES)))

    def register_person(
        self, name: str, *, member: str, roles: tuple[Role, ...] = (Role.CLINICIAN,)
    ) -> Party:
        """Let a member introduce a person of its staff."""
        person = Party(
            id=self.derive_id("person", name),
            custodian=MemberId(member),
            author=self.sign_as(derive_key(self.seed, "person", name)),
        )
        self.node(member).author.submit(
            RegisterPerson,
            person=PersonId(person.id),
            possession=person.author.prove_possession(OwnerKind.PERSON, person.id, member=person.custodian),
            roles=tuple(sorted(roles)),
            sign_in=self.derive_commitment("sign-in", name),
        )
        return person

    def enrol_patient(self, name: str, *, custodian: str, is_custodial: bool = False) -> Party:
        """Let a custodian enrol a patient; the same name at another custodian has another id and key."""
        patient = Party(
            id=self.derive_id("patient", custodian, name),
            custodian=MemberId(custodian),
            author=self.sign_as(derive_key(self.seed, "patient", custodian, name)),
        )
        self.node(custodian).author.submit(
            EnrolCustodialPatient if is_custodial else EnrolPatient,
            patient=PatientId(patient.id),
            possession=patient.author.prove_possession(
                OwnerKind.PATIENT, patient.id, member=patient.custodian
            ),
        )
        return patient

    def state_grant(
        self,
        name: str,
        patient: Party,
        /,
        *,
        days: int = 365,
        **changes: Any,  # noqa: ANN401  fields of the grant
    ) -> Signed[Grant]:
        """Let a patient sign terms; `changes` replace fields of the grant."""
        fields: dict[str, Any] = {
            "consent": self.derive_id("consent", name),
            "patient": patient.id,
            "custodian": patient.custodian,
            "terms": self.derive_commitment("terms", name),
            "until_day": Day(self.today + days),
            "submit_until_day": Day(self.today + max(days, SUBMIT_DAYS)),
        }
        return patient.author.state(Grant, **(fields | changes))

    def grant(self, name: str, patient: Party, *, days: int = 365) -> ConsentId:
        """Let a patient grant a consent that the custodian countersigns."""
        grant = self.state_grant(name, patient, days=days)
        self.node(patient.custodian).author.submit(GrantConsent, grant=grant)
        return grant.payload.consent
