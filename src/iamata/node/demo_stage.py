"""Who is on stage in the demo, and what its story has come to: what each of its chapters needs."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

from iamata.ledger.entries import MemberKind, Role
from iamata.model.ids import MemberId, ModelId, PatientId, PersonId, StudyId
from iamata.model.reasons import Reason, require
from iamata.node import learning
from iamata.node.home import WALLETS_FOLDER, Home
from iamata.node.identities import sign_as
from iamata.node.places import RemotePlace
from iamata.stores.wallets import load_wallet
from iamata.workflows.author import Author

SAMPLE_SEED: Final = 17
A: Final = MemberId("north-hospital")
B: Final = MemberId("south-hospital")
C: Final = MemberId("lake-hospital")
REGULATOR: Final = MemberId("regulator")
MEMBERS: Final = (
    (A, "North Hospital", MemberKind.HOSPITAL),
    (B, "South Hospital", MemberKind.HOSPITAL),
    (C, "Lake Hospital", MemberKind.HOSPITAL),
    (REGULATOR, "Health Data Authority", MemberKind.REGULATOR),
)
NORTH_CLINICIAN: Final = "north-clinician"
NORTH_REVIEWER: Final = "north-reviewer"
SOUTH_CLINICIAN: Final = "south-clinician"
LAKE_CLINICIAN: Final = "lake-clinician"
STAFF: Final = {
    NORTH_CLINICIAN: (A, (Role.CLINICIAN,)),
    NORTH_REVIEWER: (A, (Role.REVIEWER,)),
    SOUTH_CLINICIAN: (B, (Role.CLINICIAN,)),
    LAKE_CLINICIAN: (C, (Role.CLINICIAN, Role.EMERGENCY)),
}
PATIENT: Final = "patient"
"""Names of wallets."""

Tell = Callable[[str], None]


@dataclasses.dataclass(slots=True)
class Story:
    """What the story has come to so far; `facts` is what `--json` prints."""

    home: Home
    tell: Tell
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    people: dict[str, PersonId] = dataclasses.field(default_factory=dict)
    """Staff, by the name of their wallet."""
    patients: dict[PatientId, list[str]] = dataclasses.field(default_factory=dict)
    """The imported patients of hospital A, with the demographics that find each in an emergency."""

    def find_wallet(self, name: str) -> Path:
        """Say where somebody's wallet lies, so that the command line can go on with it."""
        return self.home.path / WALLETS_FOLDER / name

    def get_author(self, name: str, member: MemberId) -> Author:
        """Return the author that signs for a person of the staff."""
        return sign_as(self.home, load_wallet(self.find_wallet(name)), member)[1]


class Stage(Protocol):
    """Where the story is told: one home with everybody in it, or a node for each member."""

    def find_wallet(self, member: MemberId, name: str) -> Path:
        """Say where the wallet of somebody who belongs to a member lies."""
        ...

    def working_at(self, member: MemberId) -> AbstractContextManager[Home]:
        """Do at a member's home what only its keys can do."""
        ...

    def come_as(self, name: str, member: MemberId) -> AbstractContextManager[Home | RemotePlace]:
        """Come with somebody's wallet to where a member is served."""
        ...

    def train(self, name: str, owner: MemberId, study: StudyId, *, supersedes: ModelId | None) -> ModelId:
        """Let a researcher of a study's owner have a model trained on what stands."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class OneHome:
    """A stage in one process: every member is served from the same home."""

    story: Story

    def find_wallet(self, member: MemberId, name: str) -> Path:  # noqa: ARG002  all lie in one folder
        """Say where somebody's wallet lies."""
        return self.story.find_wallet(name)

    @contextlib.contextmanager
    def working_at(self, member: MemberId) -> Iterator[Home]:  # noqa: ARG002  everybody's home
        """Return the home."""
        yield self.story.home

    @contextlib.contextmanager
    def come_as(self, name: str, member: MemberId) -> Iterator[Home]:  # noqa: ARG002  everybody's home
        """Return the home."""
        yield self.story.home

    def train(self, name: str, owner: MemberId, study: StudyId, *, supersedes: ModelId | None) -> ModelId:
        """Let all sites take part from here, and register what came of it."""
        return learning.train(
            self.story.home,
            study,
            owner=owner,
            researcher=self.story.people[name],
            supersedes=supersedes,
            tell=lambda _: None,
        )


def hold(condition: bool, otherwise: str) -> None:  # noqa: FBT001  reads as a sentence
    """End the story where it does not come out as it is told."""
    require(condition, Reason.FAULT_FOUND, f"in the demo, {otherwise}")
