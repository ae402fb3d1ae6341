"""Each home stays with its member: every one works out the same genesis, and signs just that."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from iamata.ledger.entries import MemberKind
from iamata.ledger.envelope import read_statement
from iamata.ledger.genesis import compute_network_id
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.agreeing import Plan, agree_at_home, offer_home, take_over_home
from iamata.node.configuration import Comet, Embedded, Follower, read_configuration
from iamata.node.consensus_keys import find_key
from iamata.node.continued import CONTINUED_FILE
from iamata.node.home import open_home
from iamata.node.membership import invite
from iamata.node.offers import CONTINUING_FILE, Offer
from iamata.node.verification import HomeReport, verify_home

MEMBERS: Final = tuple(map(MemberId, ("lake-hospital", "north-hospital", "regulator", "south-hospital")))
LAKE, NORTH, STATE, SOUTH = MEMBERS


def silence(_: str) -> None:
    """Say nothing."""


def verify(home: Path) -> HomeReport:
    return verify_home(home, tell=silence)


def offer_all(net: Path, members: tuple[MemberId, ...] = MEMBERS) -> tuple[str, ...]:
    return tuple(offer_home(net / one, tell=silence) for one in members)


def agree_all(net: Path, plan: Plan, members: tuple[MemberId, ...] = MEMBERS) -> Plan:
    agreements = tuple(agree_at_home(net / one, plan, tell=silence) for one in members)
    return Plan(plan.offers, plan.orderer, plan.without, agreements)


@pytest.fixture(scope="module")
def agreed(continued: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """Return homes whose members have all offered to order together, and agreed. Read only."""
    net = Path(shutil.copytree(continued / "net", tmp_path_factory.mktemp("agreed") / "net"))
    return net, agree_all(net, Plan(offer_all(net)))


@pytest.fixture
def net(agreed: tuple[Path, Plan], tmp_path: Path) -> Path:
    """Return a copy of these homes."""
    return Path(shutil.copytree(agreed[0], tmp_path / "net"))


@pytest.fixture
def plan(agreed: tuple[Path, Plan]) -> Plan:
    """Return what the members agreed to."""
    return agreed[1]


def refuse(net: Path, plan: Plan) -> Refused:
    with pytest.raises(Refused) as refused:
        take_over_home(net / NORTH, net.parent / "north", plan, tell=silence)
    assert not (net.parent / "north").exists()
    assert not (net / NORTH / CONTINUED_FILE).exists()
    return refused.value


def test_each_member_makes_its_own_home_of_the_same_network(net: Path, plan: Plan, tmp_path: Path) -> None:
    made = {
        one: take_over_home(net / one, tmp_path / f"new-{one}", plan, tell=silence)
        for one in (SOUTH, NORTH)
    }

    assert len({compute_network_id(genesis) for genesis in made.values()}) == 1
    for member, genesis in made.items():
        home = tmp_path / f"new-{member}"
        report, configuration = verify(home), read_configuration(home)
        assert report.genesis == genesis
        assert [one.member for one in report.members] == [member]
        assert find_key(home) == next(one.key for one in genesis.validators if one.member == member)
        assert isinstance(configuration.engine, Comet)
        assert set(configuration.peers) == set(MEMBERS) - {member}
        assert configuration.port == read_configuration(net / member).port
        assert (net / member / CONTINUED_FILE).exists()


def test_one_orders_three_go_on_and_the_fourth_is_lost(net: Path, plan: Plan, tmp_path: Path) -> None:
    three = (SOUTH, NORTH, STATE)
    one_orders = agree_all(net, Plan(plan.offers[1:], SOUTH, (LAKE,)), three)
    made = [take_over_home(net / one, tmp_path / one, one_orders, tell=silence) for one in (SOUTH, NORTH)]

    assert [len(genesis.agreements) for genesis in made] == [3, 3]
    assert isinstance(read_configuration(tmp_path / SOUTH).engine, Embedded)
    follower = read_configuration(tmp_path / NORTH)
    assert follower.engine == Follower(leader=follower.peers[SOUTH])
    assert verify(tmp_path / SOUTH).ledger.blocks == verify(tmp_path / NORTH).ledger.blocks + 1
    with open_home(tmp_path / SOUTH) as home:
        assert home.engine.genesis == made[0]


def test_two_agreements_of_four_are_too_few(net: Path, plan: Plan) -> None:
    few = Plan(plan.offers, None, (), plan.agreements[:2])

    assert refuse(net, few).reason is Reason.NOT_AGREED


def test_who_agreed_to_another_order_agreed_to_nothing_here(net: Path, plan: Plan) -> None:
    other = Plan(plan.offers, SOUTH, (), plan.agreements)

    assert refuse(net, other).reason is Reason.FOREIGN_NETWORK


def test_another_offer_of_the_same_member_makes_another_network(net: Path, plan: Plan) -> None:
    again = offer_home(net / STATE, tell=silence)
    offers = (*(one for one in plan.offers if one != plan.offers[2]), again)

    assert again != plan.offers[2]
    assert refuse(net, Plan(offers, None, (), plan.agreements)).reason is Reason.FOREIGN_NETWORK


def test_an_offer_that_is_missing_twice_there_or_forged_is_refused(net: Path, plan: Plan) -> None:
    head, _, signature = plan.offers[0].rpartition(".")
    forged = f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for offers, reason in (
        (plan.offers[1:], Reason.HOME_NOT_FOUND),
        ((*plan.offers, plan.offers[0]), Reason.INPUT_INVALID),
        ((forged, *plan.offers[1:]), Reason.BAD_SIGNATURE),
    ):
        assert refuse(net, Plan(offers, None, (), plan.agreements)).reason is reason


def test_a_member_that_stands_elsewhere_has_to_catch_up(net: Path, plan: Plan, tmp_path: Path) -> None:
    with open_home(net / NORTH) as home:
        kind = MemberKind.LABORATORY
        author = home.get_office(NORTH).author
        invite(author, invited=MemberId("lab"), name="Lab", kind=kind, days=1, to=tmp_path / "file")
        height = home.engine.snapshot().height

    refused = refuse(net, plan)

    assert refused.reason is Reason.INPUT_INVALID
    assert f"this home at {height:,}" in refused.detail


def test_a_home_that_made_no_offer_takes_nothing_over(net: Path, plan: Plan) -> None:
    (net / NORTH / CONTINUING_FILE).unlink()

    assert refuse(net, plan).reason is Reason.INPUT_INVALID


def test_an_offer_made_again_names_the_address_that_was_given_last(net: Path) -> None:
    first, other, same = (
        read_statement(offer_home(net / STATE, p2p=p2p, tell=silence), Offer).payload
        for p2p in ("127.0.0.1:9701", "127.0.0.1:9702", None)
    )

    assert [one.peer.rpartition(":")[2] for one in (first, other, same)] == ["9701", "9702", "9702"]
    assert first.key == other.key == same.key
