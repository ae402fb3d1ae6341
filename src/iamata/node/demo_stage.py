"""Who is on stage in the demo, and what its story has come to: what each of its chapters needs."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from iamata.ledger.entries import MemberKind, Role
from iamata.model.ids import MemberId, PatientId, PersonId
from iamata.model.reasons import Reason, require
from iamata.node.home import WALLETS_FOLDER, Home
from iamata.node.identities import sign_as
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


def hold(condition: bool, otherwise: str) -> None:  # noqa: FBT001  reads as a sentence
    """End the story where it does not come out as it is told."""
    require(condition, Reason.FAULT_FOUND, f"in the demo, {otherwise}")
