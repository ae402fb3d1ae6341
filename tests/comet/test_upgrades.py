"""Rules that the members agreed on hold from their block on, or stop a node that does not know them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.engine import CometEngine
from iamata.ledger.genesis import Genesis
from iamata.ledger.rules import NEWEST
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, UpgradeRules
from iamata.model.reasons import Refused
from iamata.testing.comet import CometDiedError, PlayedComet
from iamata.testing.world import World


class Order:
    """A world whose every transaction is ordered at once, each in a block of its own."""

    def __init__(self, folder: Path, *, rules: int) -> None:
        self.folder = folder
        self.world = World.found(
            "upgrade", make_engine=self._make_engine, validators=("hospital-a",), rules=rules
        )

    def agree(self, *, version: int, ahead: int) -> int:
        """Let three of four members agree on rules some blocks after their votes; return the height."""
        height = len(self.comet.blocks) + 3 + ahead
        proposal = self.world.derive_id("upgrade", str(version))
        self.world.administrator("hospital-a").author.submit(
            OpenProposal,
            proposal=proposal,
            action=UpgradeRules(version=version, height=height),
            until_day=self.world.today,
        )
        for member in ("hospital-b", "hospital-c"):
            self.world.administrator(member).author.submit(CastVote, proposal=proposal, is_approval=True)
        return height

    def open(self) -> None:
        """Start the application, and let consensus say what it lacks."""
        self.engine = CometEngine(
            self.folder / "ledger",
            self.genesis,
            address=f"unix://{self.folder / 'abci.sock'}",
            broadcast=self._order,
            clock=self.clock,
        )
        self.comet.connect()

    def close(self) -> None:
        self.comet.hang_up()
        self.engine.close()

    def _make_engine(
        self, genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]
    ) -> CometEngine:
        assert orderer.key_id != genesis.validators[0].key
        self.genesis, self.clock = genesis, clock
        (self.folder / "ledger").mkdir()
        self.comet = PlayedComet(self.folder / "abci.sock", genesis, clock=clock)
        self.open()
        return self.engine

    def _order(self, bundle: bytes) -> None:
        self.comet.broadcast(bundle)
        self.comet.make_block()


@pytest.fixture
def open_order(tmp_path: Path) -> Iterator[Callable[[int], Order]]:
    opened = []

    def open_one(rules: int) -> Order:
        opened.append(Order(tmp_path, rules=rules))
        return opened[-1]

    yield open_one
    for order in opened:
        order.close()


def test_rules_change_at_their_block_and_a_node_that_starts_anew_finds_the_same(
    open_order: Callable[[int], Order],
) -> None:
    order = open_order(1)
    height = order.agree(version=2, ahead=2)
    for _ in range(3):
        order.comet.make_block()
    order.world.enrol_patient("anna", custodian="hospital-a")
    leaves = [json.loads(leaf) for block in order.engine.read_blocks() for leaf in block.leaves]
    before = order.engine.snapshot()
    order.close()
    (order.folder / "ledger" / "ledger.db").rename(order.folder / "old.db")  # as if it never had been
    for rest in (order.folder / "ledger").glob("ledger.db-*"):
        rest.unlink()

    order.open()

    assert len(order.comet.blocks) > height
    assert ["height" in leaf for leaf in leaves] == [True, True, True, False]
    assert order.engine.snapshot().app_hash == before.app_hash


def test_a_node_that_does_not_know_the_agreed_rules_stops_and_says_so(
    open_order: Callable[[int], Order],
) -> None:
    order = open_order(NEWEST)
    height = order.agree(version=NEWEST + 1, ahead=1)
    while len(order.comet.blocks) < height - 1:
        order.comet.make_block()

    with pytest.raises(
        CometDiedError, match=rf"RULES_UNKNOWN.*rules {NEWEST + 1} hold from block {height}"
    ):
        order.comet.make_block()
    assert order.engine.is_halted
    assert order.engine.snapshot().height == height - 1
    order.close()
    with pytest.raises(Refused, match="RULES_UNKNOWN"):
        order.open()
