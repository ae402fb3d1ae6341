"""Another member's desk behind a URL."""

from collections.abc import Sequence
from typing import Final

from iamata.client.connection import Connection
from iamata.consent.data_use import Conditions
from iamata.ledger.transaction import Possession, Signed
from iamata.model.ids import DatasetId, Digest, MemberId, PatientId, RunId
from iamata.ports import Finality
from iamata.wire import bodies
from iamata.workflows.accesses import AccessProof
from iamata.workflows.documents import HandedIn
from iamata.workflows.memberships import MembershipProof
from iamata.workflows.messages import Release
from iamata.workflows.wallets import KeptTerms, SaltedTerms

DELIVERY_WAIT_S: Final = 20.0
"""How long one question waits for the other sites of a run."""


class RemoteDesk:
    """What may be asked of a node; whoever asks checks what it hears."""

    def __init__(self, connection: Connection, member: MemberId) -> None:
        self._connection = connection
        self._member = member

    @property
    def member(self) -> MemberId:
        """Name the member."""
        return self._member

    def answer_request(self, request: str, *, height: int = 0) -> Sequence[Release]:
        """Ask for records with a member's signed request."""
        body = bodies.RequestBody(request=request, height=height)
        return self._connection.post("/v1/requests", bodies.Releases, body).releases

    def accept_receipt(self, receipt: str) -> None:
        """Hand over our signed word that a release arrived."""
        self._connection.post("/v1/receipts", bodies.Nothing, bodies.ReceiptBody(receipt=receipt))

    def find_in_emergency(self, search: str) -> PatientId:
        """Ask for one patient with a person's signed search."""
        body = bodies.SearchBody(search=search)
        return self._connection.post("/v1/emergency-searches", bodies.Found, body).patient

    def accept_grant(self, grant: str, salted: SaltedTerms) -> None:
        """Hand over a signed grant, and await that it is final."""
        self._connection.post("/v1/consents", Finality, bodies.GrantBody(grant=grant, salted=salted))

    def accept_restriction(self, patient: PatientId, salted: SaltedTerms) -> None:  # noqa: ARG002  who signs is who asks
        """Hand over the opening of a restriction."""
        self._connection.post("/v1/restrictions", bodies.Nothing, bodies.RestrictionBody(salted=salted))

    def list_unconfirmed(self, patient: PatientId) -> Sequence[KeptTerms]:  # noqa: ARG002  who signs is who asks
        """Ask what the custodian signed for the patient who asks."""
        return self._connection.get("/v1/consents/unconfirmed", bodies.Unconfirmed).consents

    def list_accesses(self, request: str) -> Sequence[AccessProof]:
        """Ask who looked, with a patient's signed question."""
        body = bodies.AccessListBody(request=request)
        return self._connection.post("/v1/accesses", bodies.AccessList, body).accesses

    def accept_enrolment(self, code: str, possession: Signed[Possession]) -> None:
        """Bring the key of the patient whom a code names."""
        body = bodies.EnrolmentBody(code=code, possession=possession.text)
        self._connection.post("/v1/enrolments", Finality, body, is_signed=False)

    def carry_message(self, sender: MemberId, *, plan: bytes, message: bytes, height: int) -> None:  # noqa: ARG002  who signs is who sends
        """Bring a message in a round of a study of this member's."""
        body = bodies.RunMessage(plan=plan, message=message, height=height)
        self._connection.post("/v1/runs/messages", bodies.Nothing, body)

    def await_delivery(
        self,
        sender: MemberId,  # noqa: ARG002  who signs is who asks
        run: RunId,
        plan: Digest,
        phase: int,
    ) -> Sequence[bytes] | None:
        """Wait for what a phase of a round brings, as long as one question may."""
        query = bodies.DeliveryQuery(run=run, plan=plan, phase=phase, wait_s=DELIVERY_WAIT_S)
        found = self._connection.get("/v1/runs/deliveries", bodies.Delivery, query, wait_s=DELIVERY_WAIT_S)
        return found.messages or None

    def accept_model(self, sender: MemberId, handed: HandedIn) -> None:  # noqa: ARG002  who signs is who sends
        """Hand in what our run came to."""
        self._connection.post("/v1/runs/models", bodies.Nothing, handed)

    def prove_membership(self, dataset: DatasetId, leaf: bytes) -> MembershipProof:
        """Ask whether a leaf is in a dataset of this member's; the proof is the asker's to check."""
        body = bodies.MembershipBody(dataset=dataset, leaf=leaf)
        return self._connection.post("/v1/memberships", MembershipProof, body)

    def show_document(self, digest: Digest) -> bytes:
        """Ask for a public document by its hash."""
        query = bodies.DocumentQuery(digest=digest)
        return self._connection.get("/v1/documents", bodies.Document, query).content

    def show_question(self, run: RunId) -> bytes:
        """Ask what a run of this member's asks."""
        query = bodies.RunQuery(run=run)
        return self._connection.get("/v1/questions", bodies.Document, query).content

    def show_conditions(self, dataset: DatasetId) -> Conditions | None:
        """Ask what may be done with the data of this member's dataset."""
        query = bodies.DatasetQuery(dataset=dataset)
        return self._connection.get("/v1/conditions", bodies.KeptConditions, query).conditions
