"""Who may ask for which purpose of the EHDS (article 53): the first three are for public bodies."""

import pytest

from iamata.ledger.entries import EhdsPurpose, MemberKind, Role
from iamata.ledger.transactions.studies import ProposeStudy
from iamata.model.instants import Day
from iamata.model.reasons import Reason, Refused
from iamata.testing.world import World

FOUNDERS = {
    "clinic": MemberKind.HOSPITAL,
    "institute": MemberKind.RESEARCH,
    "regulator": MemberKind.REGULATOR,
}
FOR_EVERYBODY = ("education", "research", "care")
FOR_PUBLIC_BODIES = ("public-health", "policy", "statistics")


def test_every_purpose_is_decided_here() -> None:
    assert sorted(EhdsPurpose) == sorted((*FOR_EVERYBODY, *FOR_PUBLIC_BODIES))


@pytest.mark.parametrize("purpose", EhdsPurpose)
@pytest.mark.parametrize("member", FOUNDERS)
def test_only_public_bodies_ask_for_what_is_theirs(member: str, purpose: EhdsPurpose) -> None:
    world = World.found("purposes", founders=FOUNDERS)
    rosa = world.register_person("rosa", member=member, roles=(Role.RESEARCHER,))
    reason = None

    try:
        rosa.author.submit(
            ProposeStudy,
            study=world.derive_id("study"),
            protocol=world.derive_commitment("protocol"),
            code=world.derive_commitment("code"),
            uses=("DUO:0000006",),
            purpose=purpose,
            is_prohibited_use_excluded=True,
            sites=("clinic",),
            budget_micro=0,
            until_day=Day(world.today + 1),
        )
    except Refused as refused:
        reason = refused.reason

    is_allowed = member == "regulator" or purpose in FOR_EVERYBODY
    assert reason is (None if is_allowed else Reason.PURPOSE_PROHIBITED)
