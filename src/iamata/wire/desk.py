"""A member's desk: what may be asked of its node, whether it is served here or behind a URL."""

from collections.abc import Sequence
from typing import Protocol

from iamata.consent.data_use import Conditions
from iamata.ledger.transaction import Possession, Signed
from iamata.model.ids import DatasetId, Digest, MemberId, PatientId, RunId
from iamata.workflows.accesses import AccessProof
from iamata.workflows.documents import HandedIn
from iamata.workflows.memberships import MembershipProof
from iamata.workflows.messages import Release
from iamata.workflows.wallets import KeptTerms, SaltedTerms


class Desk(Protocol):
    """The same questions and refusals, here and over HTTP."""

    @property
    def member(self) -> MemberId:
        """Name the member."""
        ...

    def answer_request(self, request: str, *, height: int = 0) -> Sequence[Release]:
        """Release what a member's signed request may see, once the ledger is there as far as a height."""
        ...

    def accept_receipt(self, receipt: str) -> None:
        """Keep a recipient's word that a release arrived."""
        ...

    def find_in_emergency(self, search: str) -> PatientId:
        """Find one patient for a privileged person."""
        ...

    def accept_grant(self, grant: str, salted: SaltedTerms) -> None:
        """Countersign a patient's grant, and await that it is final."""
        ...

    def accept_restriction(self, patient: PatientId, salted: SaltedTerms) -> None:
        """Keep the opening of a restriction."""
        ...

    def list_unconfirmed(self, patient: PatientId) -> Sequence[KeptTerms]:
        """List what the custodian signed for a patient who has not made it their own yet."""
        ...

    def list_accesses(self, request: str) -> Sequence[AccessProof]:
        """Tell a patient who looked."""
        ...

    def accept_enrolment(self, code: str, possession: Signed[Possession]) -> None:
        """Let a patient's own key speak for the patient whom a code of this member names."""
        ...

    def carry_message(self, sender: MemberId, *, plan: bytes, message: bytes, height: int) -> None:
        """Take in a site's message in a round of a study that this member owns."""
        ...

    def await_delivery(
        self, sender: MemberId, run: RunId, plan: Digest, phase: int
    ) -> Sequence[bytes] | None:
        """Return what a phase of a round brought; None where it was still open after a while."""
        ...

    def accept_model(self, sender: MemberId, handed: HandedIn) -> None:
        """Take in what a site's run came to."""
        ...

    def prove_membership(self, dataset: DatasetId, leaf: bytes) -> MembershipProof:
        """Prove that a leaf is in a dataset of this member's, or that it is not."""
        ...

    def show_document(self, digest: Digest) -> bytes:
        """Return a public document by its hash; whoever asks checks it."""
        ...

    def show_question(self, run: RunId) -> bytes:
        """Return what a run of this member's asks; it is what names the run."""
        ...

    def show_conditions(self, dataset: DatasetId) -> Conditions | None:
        """Return what may be done with the data of this member's dataset; None where that was not kept."""
        ...
