"""Hold what left late against three signatures and the ledger, and the order in which it was posted."""

from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import ACCESSES, EMERGENCIES, KEYS
from iamata.ledger.transactions.late_emergencies import is_posted
from iamata.model.ids import AccessId, KeyId
from iamata.vault.custody import Custody
from iamata.vault.journal import OpenedEntry
from iamata.workflows.disclosure_verification import expect
from iamata.workflows.late_evidence import LateEvidence, check_evidence
from iamata.workflows.messages import AccessDetails, LateDetails, Planned, read_details
from iamata.workflows.replayed import Replayed


class LatePostings:
    """What left late at one member, in its journal's order.

    The ledger is told of it before it is told of anything planned afterwards; so an entry that still
    waits is no fault, unless the custodian went on to tell of other disclosures.
    """

    def __init__(self, custody: Custody, ledger: Replayed) -> None:
        self._custody = custody
        self._ledger = ledger
        self._plans: dict[AccessId, Planned] = {}
        self.pending: list[AccessId] = []

    def take_plan(self, planned: Planned, *, is_told: bool) -> None:
        """Note a disclosure that was planned, and whether the ledger was told of it."""
        access = planned.details.access
        waiting = ", ".join(self.pending)
        expect(not (is_told and waiting), f"late disclosure {waiting}: {access} was posted instead")
        if planned.details.basis.startswith("emergency/"):
            self._plans[access] = planned

    def take_entry(self, entry: OpenedEntry) -> Planned:
        """Check that a disclosure which left late was signed for by all three, and posted as just that."""
        access = entry.header.id
        planned = self._plans.get(access)
        if planned is None or planned.details.patient != entry.header.patient:
            expect(False, f"late disclosure {access}: it was never planned")  # noqa: FBT003  as a sentence
            raise AssertionError(access)
        evidence = check_evidence(read_details(entry.payload, LateDetails), planned.details)
        self._check_signers(evidence, planned.details)
        if ACCESSES.find(self._ledger.state.entries, access) is None:
            self.pending.append(access)
        else:
            self._check_posted(evidence, planned.details)
        return planned

    def _check_signers(self, evidence: LateEvidence, details: AccessDetails) -> None:
        place = f"late disclosure {details.access}"
        declared = self._is_owner(evidence.declaration.key, OwnerKind.PERSON, details.person)
        expect(declared, f"{place}: another person declared the emergency")
        asked = self._is_owner(evidence.request.key, OwnerKind.MEMBER, details.recipient)
        expect(asked, f"{place}: another member asked")
        released = self._is_owner(evidence.note.key, OwnerKind.MEMBER, self._custody.member)
        expect(released, f"{place}: another member released it")
        networks = (one.payload.network for one in (evidence.declaration, evidence.request, evidence.note))
        is_ours = all(network in self._ledger.networks for network in networks)
        expect(is_ours, f"{place}: it is of another network")

    def _check_posted(self, evidence: LateEvidence, details: AccessDetails) -> None:
        declared, entries = evidence.declaration.payload, self._ledger.state.entries
        access, emergency = (
            ACCESSES.find(entries, details.access),
            EMERGENCIES.find(entries, declared.emergency),
        )
        is_late = access is not None and access.is_late
        is_same = emergency is not None and is_posted(emergency, declared, person=details.person)
        expect(is_late and is_same, f"late disclosure {details.access}: the ledger was told something else")

    def _is_owner(self, key: KeyId, kind: OwnerKind, owner: str) -> bool:
        """Tell whether a key speaks, or spoke, for somebody."""
        entry = KEYS.find(self._ledger.state.entries, key)
        return entry is not None and (entry.kind, entry.owner) == (kind, owner)
