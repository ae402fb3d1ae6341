"""A member's desk that is served in this process."""

from collections.abc import Sequence
from typing import Final

from iamata.consent.data_use import Conditions
from iamata.ledger.transaction import Possession, Signed
from iamata.model.ids import DatasetId, Digest, MemberId, PatientId, RunId
from iamata.workflows import accesses, consents, disclosures, emergencies, enrolments, studies
from iamata.workflows.accesses import AccessProof
from iamata.workflows.documents import HandedIn, get_document
from iamata.workflows.frozen_tables import find_conditions
from iamata.workflows.memberships import MembershipProof, prove_membership
from iamata.workflows.messages import Release
from iamata.workflows.office import Office
from iamata.workflows.question_runs import get_question
from iamata.workflows.wallets import KeptTerms, SaltedTerms

DELIVERY_WAIT_S: Final = 0.25
"""How long a site here waits for the others before it looks whether the run still goes on."""


class LocalDesk:
    """One member's use cases for those who come to it."""

    def __init__(self, office: Office) -> None:
        self._office = office

    @property
    def member(self) -> MemberId:
        """Name the member."""
        return self._office.member

    def answer_request(self, request: str, *, height: int = 0) -> Sequence[Release]:
        """Release what a member's signed request may see."""
        self._office.await_height(height)
        return disclosures.answer_request(self._office, request)

    def accept_receipt(self, receipt: str) -> None:
        """Keep a recipient's word that a release arrived."""
        disclosures.accept_receipt(self._office, receipt)

    def find_in_emergency(self, search: str) -> PatientId:
        """Find one patient for a privileged person."""
        return emergencies.find_in_emergency(self._office, search)

    def accept_grant(self, grant: str, salted: SaltedTerms) -> None:
        """Countersign a patient's grant, and await that it is final."""
        consents.accept_grant(self._office, grant, salted)

    def accept_restriction(self, patient: PatientId, salted: SaltedTerms) -> None:
        """Keep the opening of a restriction."""
        consents.accept_restriction(self._office, patient, salted)

    def list_unconfirmed(self, patient: PatientId) -> Sequence[KeptTerms]:
        """List what the custodian signed for a patient who has not made it their own yet."""
        return consents.list_unconfirmed(self._office, patient)

    def list_accesses(self, request: str) -> Sequence[AccessProof]:
        """Tell a patient who looked."""
        return accesses.list_accesses(self._office, request)

    def accept_enrolment(self, code: str, possession: Signed[Possession]) -> None:
        """Let a patient's own key speak for the patient whom a code of this member names."""
        enrolments.accept_enrolment(self._office, code, possession)

    def carry_message(self, sender: MemberId, *, plan: bytes, message: bytes, height: int) -> None:
        """Take in a site's message in a round of a study that this member owns."""
        view = self._office.await_height(height)
        self._office.relays.carry(view, sender, owner=self.member, plan=plan, message=message)

    def await_delivery(
        self, sender: MemberId, run: RunId, plan: Digest, phase: int
    ) -> Sequence[bytes] | None:
        """Wait for what a phase of a round brings."""
        return self._office.relays.await_delivery(sender, run, plan, phase, wait_s=DELIVERY_WAIT_S)

    def accept_model(self, sender: MemberId, handed: HandedIn) -> None:
        """Take in what a site's run came to."""
        studies.accept_model(self._office, sender, handed)

    def prove_membership(self, dataset: DatasetId, leaf: bytes) -> MembershipProof:
        """Prove that a leaf is in a dataset of this member's, or that it is not."""
        return prove_membership(self._office, dataset, leaf)

    def show_document(self, digest: Digest) -> bytes:
        """Return a public document by its hash."""
        return get_document(self._office.custody, digest)

    def show_question(self, run: RunId) -> bytes:
        """Return what a run of this member's asks."""
        return get_question(self._office.custody, run)

    def show_conditions(self, dataset: DatasetId) -> Conditions | None:
        """Return what may be done with the data of this member's dataset."""
        return find_conditions(self._office.custody, dataset)
