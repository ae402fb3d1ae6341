"""A study's protocol is kept for a researcher of the staff, and not without end."""

import msgspec
import pytest

from house import House, read_reason
from iamata.api.limits import DRAFT_BYTES_MAX, DRAFTS_PER_DAY
from iamata.crypto.ed25519 import SigningKey
from iamata.ledger.entries import Role
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason
from iamata.testing.learning import write_protocol
from iamata.wire.bodies import Document

PATH = "/v1/documents"


def write_draft(number: int) -> Document:
    return Document(content=msgspec.json.encode(write_protocol(title=f"Draft {number}")))


@pytest.fixture
def rosa(house: House) -> SigningKey:
    world = house.scene.world
    return world.register_person("rosa", member="hospital-a", roles=(Role.RESEARCHER,)).author.key


def test_a_researcher_has_so_many_drafts_kept_in_a_day(house: House, rosa: SigningKey) -> None:
    codes = [house.post(PATH, write_draft(number), rosa).status_code for number in range(DRAFTS_PER_DAY)]
    too_many = house.post(PATH, write_draft(DRAFTS_PER_DAY), rosa)
    again = house.post(PATH, write_draft(0), rosa)
    house.scene.world.clock.advance(MS_PER_DAY // DRAFTS_PER_DAY)
    later = house.post(PATH, write_draft(DRAFTS_PER_DAY), rosa)

    assert codes == [200] * DRAFTS_PER_DAY
    assert read_reason(too_many) is Reason.TOO_MANY_REQUESTS
    assert (again.status_code, later.status_code) == (200, 200)


def test_only_researchers_have_only_protocols_kept(house: House, rosa: SigningKey) -> None:
    clinician = house.scene.world.register_person("otto", member="hospital-a").author.key

    assert read_reason(house.post(PATH, write_draft(1), clinician)) is Reason.ROLE_MISSING
    assert read_reason(house.post(PATH, Document(content=b"{}"), rosa)) is Reason.MALFORMED
    assert read_reason(house.post(PATH, b"x" * (DRAFT_BYTES_MAX + 1), rosa)) is Reason.TOO_LARGE
