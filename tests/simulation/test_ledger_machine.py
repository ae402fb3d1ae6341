"""Random transactions, right and wrong, in random blocks: the ledger's promises hold all the same.

LED-MAP-3 among them.
"""

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from iamata.ledger.bases import ConsentBasis, EmergencyBasis, PolicyBasis
from iamata.ledger.entries import KEYS_MAX, OwnerKind, ReviewOutcome, Role
from iamata.ledger.envelope import read_transaction
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.tables import ACCESSES, EMERGENCIES, KEYS, MEMBERS, PATIENTS, PERSONS, ROLLS, TableSpec
from iamata.ledger.transactions.access import Disclose
from iamata.ledger.transactions.consents import (
    ConfirmConsent,
    GrantConsent,
    RestrictConsent,
    WithdrawConsent,
)
from iamata.ledger.transactions.emergencies import DeclareEmergency, ReviewEmergency
from iamata.ledger.transactions.late_emergencies import LateDeclaration, PostLateEmergency
from iamata.ledger.transactions.patients import (
    AddPatientKey,
    EnrolCustodialPatient,
    EnrolPatient,
    RemovePatientKey,
    TakeOver,
)
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, ReinstateMember, SuspendMember
from iamata.ledger.transactions.records import EraseRecords
from iamata.model.ids import ConsentId, MemberId, PatientId
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, Instant
from iamata.model.reasons import ACCEPTED, Reason
from iamata.testing.tiny_model import OPEN_MAX, TinyModel
from iamata.testing.world import Party, World

HOSPITALS = ("hospital-a", "hospital-b", "hospital-c")
NAMES = 4
NUMBER = st.integers(0, NAMES - 1)
FEW = st.integers(0, 2)
LATE = (Reason.REPLAYED, Reason.EXPIRED)


class LedgerMachine(RuleBasedStateMachine):
    """A dozen inhabitants with a dozen names each, so that collisions happen all the time."""

    @initialize(block_size=st.integers(1, 5))
    def found(self, block_size: int) -> None:
        self.world = World.found("machine")
        nodes = {self.world.node(name).author.key.key_id: name for name in self.world.founders}
        administrators = {
            self.world.administrator(name).author.key.key_id: name for name in self.world.founders
        }
        self.emil = self.world.register_person("emil", member="hospital-b", roles=(Role.EMERGENCY,))
        self.rita = self.world.register_person("rita", member="hospital-a", roles=(Role.REVIEWER,))
        self.model = TinyModel(nodes, administrators)
        self.batch: list[bytes] = []
        self.sent: list[bytes] = []
        self.crowded: list[str] = []
        self.block_size = block_size
        for number in range(NAMES):
            self.enrol(number, number, HOSPITALS[number % 3], is_custodial=number == NAMES - 1)
            self.grant(number, number, number, HOSPITALS[number % 3], 2)
        self.close_block()

    def send(self, raw: bytes) -> None:
        self.batch.append(raw)
        self.sent.append(raw)
        if len(self.batch) >= self.block_size:
            self.close_block()

    def patient(self, number: int) -> PatientId:
        return PatientId(self.world.derive_id("patient", str(number)))

    def key(self, number: int) -> Any:
        return self.world.stranger(f"patient {number}")

    def custodian(self, number: int) -> MemberId:
        entry = PATIENTS.find(self.world.engine.snapshot(), self.patient(number))
        return MemberId(HOSPITALS[0]) if entry is None else entry.custodian

    def consent(self, number: int) -> ConsentId:
        return ConsentId(self.world.derive_id("consent", str(number)))

    @rule(number=NUMBER, key=NUMBER, at=st.sampled_from(HOSPITALS), is_custodial=st.booleans())
    def enrol(self, number: int, key: int, at: str, *, is_custodial: bool) -> None:
        patient = self.patient(number)
        self.send(
            self.world.node(at).author.write(
                EnrolCustodialPatient if is_custodial else EnrolPatient,
                patient=patient,
                possession=self.key(key).prove_possession(OwnerKind.PATIENT, patient, member=MemberId(at)),
            )
        )

    @rule(number=NUMBER, key=NUMBER, signer=NUMBER)
    def add_key(self, number: int, key: int, signer: int) -> None:
        patient = self.patient(number)
        possession = self.key(key).prove_possession(
            OwnerKind.PATIENT, patient, member=self.custodian(number)
        )
        self.send(self.key(signer).write(AddPatientKey, patient=patient, possession=possession))

    @rule(number=NUMBER)
    def crowd(self, number: int) -> None:
        if self.patient(number) not in self.crowded:
            self.crowded.append(self.patient(number))
            self.add_many_keys(number)

    def add_many_keys(self, number: int) -> None:
        patient = self.patient(number)
        custodian = self.custodian(number)
        for extra in range(KEYS_MAX):
            key = self.world.stranger(f"extra {number} {extra}")
            possession = key.prove_possession(OwnerKind.PATIENT, patient, member=custodian)
            self.send(self.key(number).write(AddPatientKey, patient=patient, possession=possession))

    @rule(number=NUMBER, key=NUMBER, signer=NUMBER)
    def remove_key(self, number: int, key: int, signer: int) -> None:
        key_id = self.key(key).key.key_id
        self.send(self.key(signer).write(RemovePatientKey, patient=self.patient(number), key=key_id))

    @rule(number=NUMBER, key=NUMBER, at=st.sampled_from(HOSPITALS))
    def take_over(self, number: int, key: int, at: str) -> None:
        patient = self.patient(number)
        possession = self.key(key).prove_possession(OwnerKind.PATIENT, patient, member=MemberId(at))
        self.send(self.world.node(at).author.write(TakeOver, patient=patient, possession=possession))

    @rule(number=NUMBER, at=st.sampled_from(HOSPITALS))
    def erase(self, number: int, at: str) -> None:
        statement = self.world.derive_commitment("erasure")
        fields = {"patient": self.patient(number), "statement": statement, "count": 1}
        self.send(self.world.node(at).author.write(EraseRecords, **fields))

    @rule(
        consent=NUMBER, number=NUMBER, signer=NUMBER, at=st.sampled_from(HOSPITALS), days=st.integers(-1, 3)
    )
    def grant(self, consent: int, number: int, signer: int, at: str, days: int) -> None:
        node = self.world.node(at)
        party = Party(self.patient(number), node.custodian, self.key(signer))
        grant = self.world.state_grant(str(consent), party, days=days)
        self.send(node.author.write(GrantConsent, grant=grant))

    @rule(consent=NUMBER, number=NUMBER)
    def grant_rightly(self, consent: int, number: int) -> None:
        known = self.model.patients.get(self.patient(number))
        if known is not None:
            self.grant(consent, number, self.find_signer(known.keys), known.custodian, 2)

    @rule(
        consent=NUMBER,
        signer=NUMBER,
        kind=st.sampled_from([ConfirmConsent, WithdrawConsent, RestrictConsent]),
    )
    def change_consent(self, consent: int, signer: int, kind: type) -> None:
        fields: dict[str, str] = {"consent": self.consent(consent)}
        if kind is RestrictConsent:
            fields["terms"] = self.world.derive_commitment("less", str(signer))
        self.send(self.key(signer).write(kind, **fields))

    @rule(consent=NUMBER, kind=st.sampled_from([ConfirmConsent, WithdrawConsent, RestrictConsent]))
    def change_rightly(self, consent: int, kind: type) -> None:
        known = self.model.consents.get(self.consent(consent))
        if known is not None:
            keys = self.model.patients[known.patient].keys
            self.change_consent(consent, self.find_signer(keys), kind)

    def find_signer(self, keys: list[str]) -> int:
        return next((one for one in range(NAMES) if self.key(one).key.key_id in keys), 0)

    @rule(number=NUMBER, basis=NUMBER, kind=FEW, at=st.sampled_from(HOSPITALS))
    def disclose(self, number: int, basis: int, kind: int, at: str) -> None:
        emergency = self.world.derive_id("emergency", str(basis))
        bases = (ConsentBasis(self.consent(basis)), EmergencyBasis(emergency), PolicyBasis())
        self.send(
            self.world.node(at).author.write(
                Disclose,
                access=self.world.derive_id("access", str(len(self.sent))),
                patient=self.patient(number),
                basis=bases[kind],
                commitment=self.world.derive_commitment("access"),
            )
        )

    @rule(consent=NUMBER)
    def disclose_rightly(self, consent: int) -> None:
        known = self.model.consents.get(self.consent(consent))
        if known is not None:
            number = next(one for one in range(NAMES) if self.patient(one) == known.patient)
            self.disclose(number, consent, 0, self.model.patients[known.patient].custodian)

    @rule(emergency=NUMBER)
    def disclose_in_an_emergency(self, emergency: int) -> None:
        known = self.model.emergencies.get(str(self.world.derive_id("emergency", str(emergency))))
        if known is not None:
            number = next(one for one in range(NAMES) if self.patient(one) == known[0])
            self.disclose(number, emergency, 1, self.model.patients[known[0]].custodian)

    @rule(number=NUMBER, emergency=NUMBER, hours=st.sampled_from([0, 1, 2, 4, 5]))
    def declare(self, number: int, emergency: int, hours: int) -> None:
        self.send(
            self.emil.author.write(
                DeclareEmergency,
                emergency=self.world.derive_id("emergency", str(emergency)),
                patient=self.patient(number),
                commitment=self.world.derive_commitment("reason"),
                until_ms=self.world.clock() + hours * MS_PER_HOUR,
            )
        )

    @rule(
        number=NUMBER,
        emergency=NUMBER,
        access=NUMBER,
        signer=FEW,
        at=st.sampled_from(HOSPITALS),
        since_days=st.sampled_from([-1, 0, 0, 1, 31]),
    )
    def post_late(  # noqa: PLR0913  what a declaration says
        self, number: int, emergency: int, access: int, *, signer: int, at: str, since_days: int
    ) -> None:
        author = (self.emil.author, self.emil.author, self.key(number))[signer]
        declared_ms = self.world.clock() - since_days * MS_PER_DAY
        declaration = author.state(
            LateDeclaration,
            emergency=self.world.derive_id("emergency", str(emergency)),
            custodian=MemberId(at),
            patient=self.patient(number),
            commitment=self.world.derive_commitment("reason"),
            declared_ms=Instant(declared_ms),
            until_ms=Instant(declared_ms + MS_PER_HOUR),
        )
        fields = {"access": self.world.derive_id("late", str(access)), "declaration": declaration}
        commitment = self.world.derive_commitment("list")
        self.send(self.world.node(at).author.write(PostLateEmergency, **fields, commitment=commitment))

    @rule(emergency=NUMBER, outcome=st.sampled_from(ReviewOutcome))
    def review(self, emergency: int, outcome: ReviewOutcome) -> None:
        self.send(
            self.rita.author.write(
                ReviewEmergency,
                emergency=self.world.derive_id("emergency", str(emergency)),
                outcome=outcome,
                commitment=self.world.derive_commitment("grounds"),
            )
        )

    @rule(proposal=FEW, by=FEW, about=FEW, kind=st.sampled_from([SuspendMember, ReinstateMember]))
    def propose(self, proposal: int, by: int, about: int, kind: type) -> None:
        self.send(
            self.world.administrator(HOSPITALS[by]).author.write(
                OpenProposal,
                proposal=self.world.derive_id("proposal", str(proposal)),
                action=kind(member=HOSPITALS[about]),
                until_day=self.world.today + 1,
            )
        )

    @rule(proposal=FEW, by=st.integers(0, 3), is_approval=st.booleans())
    def vote(self, proposal: int, by: int, *, is_approval: bool) -> None:
        author = self.world.administrator((*HOSPITALS, "regulator")[by]).author
        proposal_id = self.world.derive_id("proposal", str(proposal))
        self.send(author.write(CastVote, proposal=proposal_id, is_approval=is_approval))

    @rule(about=FEW, kind=st.sampled_from([SuspendMember, ReinstateMember]))
    def decide(self, about: int, kind: type) -> None:
        proposal = self.world.derive_id("proposal", str(len(self.sent)))
        action, until_day = kind(member=HOSPITALS[about]), self.world.today
        names = [name for name in self.world.founders if name != HOSPITALS[about]]
        first, *others = (self.world.administrator(name).author for name in names)
        self.send(first.write(OpenProposal, proposal=proposal, action=action, until_day=until_day))
        for author in others:
            self.send(author.write(CastVote, proposal=proposal, is_approval=True))

    @rule(number=st.integers(0, 1000))
    def replay(self, number: int) -> None:
        if self.sent:
            self.batch.append(self.sent[number % len(self.sent)])

    @rule(hours=st.sampled_from([0, 1, 2, 12, 24, 48, 91 * 24]))
    def wait(self, hours: int) -> None:
        self.world.clock.advance(hours * MS_PER_HOUR)

    @rule()
    def close_block(self) -> None:
        batch, self.batch = self.batch, []
        state = self.world.memory.state
        root, size = state.entries.root, state.frontier.size
        installed = self.world.memory.order(batch)
        time_ms = installed.header.time_ms

        assert state.frontier.size == size + len(batch)
        assert len(self.world.memory.leaves) == state.frontier.size
        for raw, raw_leaf in zip(batch, installed.outcome.leaves, strict=True):
            transaction, leaf = read_transaction(raw), decode_leaf(raw_leaf)
            assert (leaf.id, leaf.time_ms) == (transaction.id, time_ms)
            assert (leaf.event is msgspec.UNSET) is (leaf.reason != ACCEPTED)
            if leaf.reason == ACCEPTED:
                is_executed = getattr(leaf.event, "is_executed", False)
                self.model.watch(transaction, time_ms=time_ms, is_executed=is_executed)
            elif isinstance(transaction.body, Disclose) and leaf.reason not in LATE:
                assert not self.model.is_disclosable(transaction.body, key=transaction.key, time_ms=time_ms)
        if not any(one == ACCEPTED for one in installed.outcome.results):
            assert state.entries.root == root, "a refused transaction changed the state"

    @invariant()
    def no_key_is_shared_and_nobody_has_too_many(self) -> None:
        if not hasattr(self, "world"):
            return
        lists = [entry.keys for entry in (*self.read(PATIENTS).values(), *self.read(PERSONS).values())]
        keys = [key for one in lists for key in one] + [
            one.signing_key for one in self.read(MEMBERS).values()
        ]
        owners = self.read(KEYS)

        assert len(set(keys)) == len(keys)
        assert all(1 <= len(one) <= KEYS_MAX for one in lists)
        assert all(not owners[key].is_retired for key in keys)

    @invariant()
    def nobody_has_too_many_open_emergencies(self) -> None:
        if hasattr(self, "world"):
            known = self.read(EMERGENCIES)
            for one in self.read(PERSONS).values():
                declared = [name for name in one.emergencies if known[name].declared_ms is None]
                assert len(declared) <= OPEN_MAX

    @invariant()
    def what_a_late_emergency_let_out_is_late_and_nothing_else_is(self) -> None:
        if hasattr(self, "world"):
            known = self.read(EMERGENCIES)
            for one in self.read(ACCESSES).values():
                kind, _, name = one.basis.partition("/")
                is_late = kind == "emergency" and known[name].declared_ms is not None
                assert one.is_late is is_late

    @invariant()
    def the_roll_is_the_active_members(self) -> None:
        if hasattr(self, "world"):
            active = sorted(name for name, one in self.read(MEMBERS).items() if one.status == "active")
            (roll,) = self.read(ROLLS).values()

            assert list(roll.active) == active == self.model.active

    def read(self, spec: TableSpec[Any]) -> dict[str, Any]:
        """Read a whole table."""
        return {
            key.removeprefix(spec.prefix).decode(): spec.decoder.decode(value)
            for key, value in self.world.memory.state.entries.items()
            if key.startswith(spec.prefix)
        }


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
