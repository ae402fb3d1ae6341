"""Who is to judge a study reads its protocol at the node of their own member, which asks the owner's."""

import msgspec
import pytest

from house import House, read_reason
from iamata.ledger.entries import EhdsPurpose, Role
from iamata.model.ids import MemberId, StudyId
from iamata.model.instants import Day
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import write_protocol
from iamata.wire.bodies import Document
from iamata.workflows import studies
from iamata.workflows.documents import get_document
from iamata.workflows.lineages import get_study

DOCUMENT = msgspec.json.encode(write_protocol(title="Who falls ill"))


@pytest.fixture
def study(house: House) -> StudyId:
    """Let hospital B propose a study; only its node keeps the protocol."""
    world = house.scene.world
    researcher = world.register_person("rosa", member="hospital-b", roles=(Role.RESEARCHER,))
    proposal = studies.Proposal(
        uses=("DUO:0000006",),
        purpose=EhdsPurpose.RESEARCH,
        sites=tuple(MemberId(f"hospital-{letter}") for letter in "abc"),
        until_day=Day(world.today + 30),
    )
    return studies.propose_study(house.scene.b, researcher.author, DOCUMENT, proposal)


def test_a_reviewer_reads_at_their_own_node_what_only_the_owner_kept(house: House, study: StudyId) -> None:
    reviewer = house.scene.world.register_person("rita", member="hospital-a", roles=(Role.REVIEWER,))
    digest = get_study(house.scene.a.take_view(), study).protocol

    before = house.get(f"/v1/documents?digest={digest}", reviewer.author.key)
    read = house.get(f"/v1/protocols?study={study}", reviewer.author.key)
    after = house.get(f"/v1/documents?digest={digest}", reviewer.author.key)

    assert read_reason(before) is Reason.NOT_FOUND
    assert msgspec.json.decode(read.content, type=Document).content == DOCUMENT
    assert get_document(house.scene.a.custody, digest) == DOCUMENT  # asked of the owner once
    assert after.content == read.content


def test_a_node_shows_nobody_a_protocol_that_the_ledger_does_not_name(house: House, study: StudyId) -> None:
    digest = get_study(house.scene.a.take_view(), study).protocol

    with pytest.raises(Refused) as changed:
        studies.get_protocol_file(house.scene.a, study, lambda *_: DOCUMENT + b" ")
    unknown = house.get(
        f"/v1/protocols?study={house.scene.world.derive_id('study', 'none')}", house.keys["own staff"]
    )

    assert changed.value.reason is Reason.BODY_CHANGED
    assert read_reason(unknown) is Reason.UNKNOWN_STUDY
    with pytest.raises(Refused):
        get_document(house.scene.a.custody, digest)
