"""What a member's node works with when it serves: its author on the ledger, its vault, its sealing key."""

import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

from iamata.crypto import hkdf
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.ledger.entries import Emergency, Member, Patient, RecordAnchor, Role
from iamata.ledger.tables import EMERGENCIES, MEMBERS, PATIENTS, PERSONS, TableSpec
from iamata.ledger.transaction import Transaction
from iamata.ledger.transactions.access import AnchorReads
from iamata.ledger.transactions.records import AnchorRecords
from iamata.model.ids import (
    RANDOM_ID_BYTES,
    AccessId,
    AnchorId,
    Digest,
    MemberId,
    PatientId,
    PersonId,
    compute_random_id,
    encode_digest,
)
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Anchor, Finality, LedgerView
from iamata.vault.anchoring import list_planned, plan_anchor, settle_anchor
from iamata.vault.custody import Custody
from iamata.vault.shelf import Shelf
from iamata.workflows.author import Author, settle
from iamata.workflows.relaying import Relays

LAG_S_MAX: Final = 5.0
"""How far behind another node's ledger ours may be when we are asked about what it has just seen."""
LAG_STEP_S: Final = 0.001


@dataclasses.dataclass(frozen=True, slots=True)
class Office:
    """One member at work."""

    author: Author
    custody: Custody
    sealing_key: bytes = dataclasses.field(repr=False)
    relays: Relays = dataclasses.field(default_factory=Relays, repr=False)
    """The rounds of learning that this member carries for its studies' sites."""

    @property
    def member(self) -> MemberId:
        """Name the member."""
        return self.custody.member

    def take_view(self) -> LedgerView:
        """Hold the newest final state of the ledger still."""
        return self.author.engine.snapshot()

    def await_height(self, height: int) -> LedgerView:
        """Hold the newest state still, once the ledger has come here as far as another node has seen it."""
        until_s = time.monotonic() + LAG_S_MAX
        while (view := self.take_view()).height < height:
            require(time.monotonic() < until_s, Reason.TOO_BUSY, f"block {height} is not here yet")
            time.sleep(LAG_STEP_S)
        return view

    def tell_time(self, view: LedgerView) -> Instant:
        """Tell at what time to decide: an idle ledger does not keep an expired consent alive."""
        return Instant(max(view.time_ms, self.author.clock()))

    def find_own_patient(self, view: LedgerView, patient_id: PatientId) -> Patient | None:
        """Return a patient of this member, None for whoever is unknown, another's or erased."""
        patient = PATIENTS.find(view, patient_id)
        is_own = patient is not None and patient.custodian == self.member and not patient.is_erased
        return patient if is_own else None

    def get_member(self, view: LedgerView, member: MemberId) -> Member:
        """Return a member, or refuse."""
        entry = MEMBERS.find(view, member)
        if entry is None:
            raise Refused(Reason.UNKNOWN_MEMBER, member)
        return entry

    def get_open_emergency(
        self, view: LedgerView, emergency_id: AccessId, *, person: PersonId
    ) -> Emergency:
        """Return an emergency that a person declared for a patient of ours and that stands, or refuse.

        As the ledger's own rule, for what the ledger is not asked about.
        """
        emergency = EMERGENCIES.find(view, emergency_id)
        if emergency is None or (emergency.person, emergency.custodian) != (person, self.member):
            raise Refused(Reason.UNKNOWN_EMERGENCY)
        require(emergency.declared_ms is None, Reason.BASIS_NOT_ACTIVE)
        is_open = self.tell_time(view) <= emergency.until_ms and emergency.outcome is None
        require(is_open, Reason.EMERGENCY_OVER)
        declarer = PERSONS.find(view, person)
        if declarer is None or not declarer.is_active or Role.EMERGENCY not in declarer.roles:
            raise Refused(Reason.ROLE_MISSING)
        require(not declarer.is_privilege_suspended, Reason.PRIVILEGE_SUSPENDED)
        return emergency

    def compute_pseudonym(self, ref: str) -> PatientId:
        """Compute the pseudonym of the patient whom a FHIR reference names: always one, for us alone."""
        secret = hkdf.derive(
            self.custody.index_key,
            salt=b"",
            info=b"pseudonym\x00" + ref.encode(),
            size_bytes=RANDOM_ID_BYTES,
        )
        return PatientId(compute_random_id(secret))

    def derive_custodial_key(self, patient: PatientId) -> SigningKey:
        """Derive the key that this custodian holds for a patient who has none."""
        info = b"custodial\x00" + patient.encode("ascii")
        seed = hkdf.derive(self.custody.index_key, salt=b"", info=info, size_bytes=SEED_BYTES)
        return SigningKey.from_seed(seed)

    def submit_all(self, bodies: Sequence[tuple[type[Transaction], dict[str, Any]]]) -> list[Finality]:
        """Submit transactions side by side, and await them all; raise the first refusal."""
        engine = self.author.engine
        futures: list[Future[Finality]] = [
            engine.submit(self.author.write(kind, **fields)) for kind, fields in bodies
        ]
        return [settle(future) for future in futures]

    def anchor(
        self, shelf: Shelf[Any], table: TableSpec[RecordAnchor], kind: type[AnchorRecords | AnchorReads]
    ) -> list[Anchor]:
        """Put all that no anchor covers under one; finish first what a crash left half-done."""
        anchored: list[Anchor] = []
        while planned := list_planned(shelf) or self._plan_fresh(shelf):
            for anchor in planned:
                if table.find(self.take_view(), anchor.id) is None:
                    root = Digest(encode_digest(anchor.root))
                    self.author.submit(kind, anchor=anchor.id, root=root, count=anchor.count)
                settle_anchor(shelf, anchor)
                anchored.append(anchor)
        return anchored

    def _plan_fresh(self, shelf: Shelf[Any]) -> list[Anchor]:
        fresh = plan_anchor(shelf, AnchorId(self.author.make_id()))
        return [] if fresh is None else [fresh]
