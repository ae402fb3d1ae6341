"""What a person of a member's staff asks of that member's own node."""

from collections.abc import Sequence
from typing import Final

from iamata.client.connection import Connection
from iamata.consent.data_use import Conditions
from iamata.learning.tables import Cell
from iamata.model.ids import AccessId, DatasetId, Digest, MemberId, ModelId, PatientId, RunId, StudyId
from iamata.wire import bodies
from iamata.workflows.model_uses import Answer
from iamata.workflows.relaying import Standing

BUILD_WAIT_S: Final = 20.0
"""How long one question waits for a dataset; then it is asked again."""


class StaffClient:
    """One person at their member's node."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def invite_patient(self, patient: str | None) -> str:
        """Return the code with which a patient puts a key of their own in place."""
        body = bodies.InvitationBody(patient=patient)
        return self._connection.post("/v1/invitations", bodies.Invitation, body).code

    def keep_document(self, content: bytes) -> Digest:
        """Have a study's protocol kept, for whoever asks for it by its hash."""
        return self._connection.post(
            "/v1/documents", bodies.DocumentQuery, bodies.Document(content=content)
        ).digest

    def show_protocol(self, study: StudyId) -> bytes:
        """Ask for a study's protocol, for which the node asks its owner's; whoever asks checks it."""
        query = bodies.ProtocolQuery(study=study)
        return self._connection.get("/v1/protocols", bodies.Document, query).content

    def start_run(
        self, study: StudyId, *, supersedes: ModelId | None, without: Sequence[MemberId] = ()
    ) -> RunId:
        """Have a training begun, without some sites; the node registers what comes of it."""
        body = bodies.RunBody(study=study, supersedes=supersedes, without=tuple(without))
        return self._connection.post("/v1/runs", bodies.StartedRun, body).run

    def tell_standing(self, run: RunId) -> Standing:
        """Return how far a run has come that the node carries."""
        return self._connection.get("/v1/runs", Standing, bodies.RunQuery(run=run))

    def ask(
        self, study: StudyId, question: bytes, *, without: Sequence[MemberId] = ()
    ) -> bodies.StartedRun:
        """Have a question asked, without some sites, or learn by which run it was.

        The node registers the answer.
        """
        body = bodies.QuestionBody(study=study, question=question, without=tuple(without))
        return self._connection.post("/v1/questions", bodies.StartedRun, body)

    def search(self, custodian: MemberId, search: str) -> PatientId:
        """Search at a custodian in an emergency."""
        body = bodies.StaffSearchBody(custodian=custodian, search=search)
        return self._connection.post("/v1/searches", bodies.Found, body).patient

    def fetch_by_share(self, share: str, *, purpose: str) -> bodies.Reading:
        """Have records fetched with a patient's share code."""
        body = bodies.ReadingBody(purpose=purpose, share=share)
        return self._connection.post("/v1/readings", bodies.Reading, body)

    def fetch_in_emergency(self, emergency: AccessId, *, purpose: str) -> bodies.Reading:
        """Have records fetched in an emergency that one declared."""
        body = bodies.ReadingBody(purpose=purpose, emergency=emergency)
        return self._connection.post("/v1/readings", bodies.Reading, body)

    def fetch_late(self, declaration: str, *, purpose: str) -> bodies.Reading:
        """Have records fetched in an emergency that one declared without the ledger."""
        body = bodies.ReadingBody(purpose=purpose, declaration=declaration)
        return self._connection.post("/v1/readings", bodies.Reading, body)

    def confirm(self, custodian: MemberId, receipts: Sequence[str]) -> None:
        """Have the custodian told that the records are kept."""
        body = bodies.ConfirmationBody(custodian=custodian, receipts=tuple(receipts))
        self._connection.post("/v1/readings/receipts", bodies.Nothing, body)

    def begin_dataset(self, study: StudyId, conditions: Conditions) -> DatasetId:
        """Have the node begin to build a dataset out of its own vault, or learn which one it builds."""
        body = bodies.DatasetBody(study=study, conditions=conditions)
        return self._connection.post("/v1/datasets", bodies.BegunDataset, body).dataset

    def is_built(self, dataset: DatasetId) -> bool:
        """Wait for a dataset as long as one question may; refuse where nothing came of it."""
        query = bodies.DatasetWait(dataset=dataset, wait_s=BUILD_WAIT_S)
        return self._connection.get(
            "/v1/datasets", bodies.BuiltDataset, query, wait_s=BUILD_WAIT_S
        ).is_built

    def predict(self, model: ModelId, patient: str, row: dict[str, Cell] | None) -> Answer:
        """Have a model asked about a patient whom one treats."""
        body = bodies.PredictionBody(model=model, patient=patient, row=row)
        return self._connection.post("/v1/predictions", Answer, body)
