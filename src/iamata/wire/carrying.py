"""A study's owner as one of its sites sees it: its desk carries the site's messages."""

import dataclasses
from collections.abc import Sequence

from iamata.model.ids import Digest, MemberId, RunId
from iamata.wire.desk import Desk
from iamata.workflows.documents import HandedIn
from iamata.workflows.office import Office


@dataclasses.dataclass(frozen=True, slots=True)
class DeskCarrier:
    """Speaks for one site at the owner's desk."""

    desk: Desk
    office: Office

    @property
    def site(self) -> MemberId:
        """Name the site that speaks."""
        return self.office.member

    def carry_message(self, *, plan: bytes, message: bytes) -> None:
        """Take in a message for the round that the plan names."""
        height = self.office.take_view().height
        self.desk.carry_message(self.site, plan=plan, message=message, height=height)

    def await_delivery(self, run: RunId, plan: Digest, phase: int) -> Sequence[bytes] | None:
        """Return what a phase of a round brought; None where it was still open after a while."""
        return self.desk.await_delivery(self.site, run, plan, phase)

    def hand_in(self, handed: HandedIn) -> None:
        """Hand over what came of a run."""
        self.desk.accept_model(self.site, handed)

    def show_document(self, digest: Digest) -> bytes:
        """Return a public document by its hash."""
        return self.desk.show_document(digest)

    def show_question(self, run: RunId) -> bytes:
        """Return what a run asks."""
        return self.desk.show_question(run)
