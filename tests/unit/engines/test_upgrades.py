"""Rules change at their block, across restarts; a program that does not know the next ones stays out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.engines.follower.engine import FollowerEngine
from iamata.ledger.entries import OwnerKind
from iamata.ledger.genesis import Genesis
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.rules import NEWEST
from iamata.ledger.transactions.patients import EnrolPatient
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, UpgradeRules
from iamata.model.ids import MemberId, PatientId
from iamata.model.reasons import Reason, Refused
from iamata.testing.leader import LocalLeader
from iamata.testing.world import World
from iamata.workflows.replaying import replay

A = MemberId("hospital-a")


class Upgraded:
    """A world on an embedded engine that can be stopped and opened again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World.found("upgrades", make_engine=self._open, rules=1)

    @property
    def engine(self) -> EmbeddedEngine:
        """The engine that is open now."""
        assert isinstance(self.world.engine, EmbeddedEngine)
        return self.world.engine

    def restart(self) -> None:
        """Stop, and open again what was kept."""
        self.engine.close()
        genesis, orderer = self.world.engine.genesis, self.world.orderer
        self.world.engine = self._open(genesis, orderer=orderer, clock=self.world.clock)

    def agree(self, *, version: int, ahead: int) -> int:
        """Let three of four members agree on rules; return the height from which they hold."""
        height = self.engine.snapshot().height + 3 + ahead
        proposal = self.world.derive_id("upgrade", str(version))
        action = UpgradeRules(version=version, height=height)
        self.world.administrator(A).author.submit(
            OpenProposal, proposal=proposal, action=action, until_day=self.world.today
        )
        for member in ("hospital-b", "hospital-c"):
            self.world.administrator(member).author.submit(CastVote, proposal=proposal, is_approval=True)
        return height

    def enrol(self, name: str) -> None:
        """Enrol a patient by the rules of the next block."""
        patient = PatientId(self.world.derive_id("patient", name))
        possession = self.world.stranger(name).prove_possession(OwnerKind.PATIENT, patient, member=A)
        self.world.node(A).author.submit(EnrolPatient, patient=patient, possession=possession)

    def _open(self, genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]) -> EmbeddedEngine:
        return EmbeddedEngine(self.folder, genesis, orderer=orderer, clock=clock)


@pytest.fixture
def upgraded(tmp_path: Path) -> Iterator[Upgraded]:
    (tmp_path / "ledger").mkdir()
    upgraded = Upgraded(tmp_path / "ledger")
    yield upgraded
    upgraded.engine.close()


@pytest.mark.parametrize("restart_before", [-1, 0, 1])
def test_an_upgrade_holds_from_its_block_on_whenever_the_engine_restarts(
    upgraded: Upgraded, restart_before: int
) -> None:
    """LED-UPG-1, LED-UPG-4."""
    height = upgraded.agree(version=2, ahead=3)
    for number in range(5):
        if upgraded.engine.snapshot().height + 1 == height + restart_before:
            upgraded.restart()
        upgraded.enrol(str(number))

    checker = SignatureChecker()
    blocks = list(upgraded.engine.read_blocks())
    report = replay(upgraded.engine.genesis, blocks, checker)
    checker.close()

    spelled = [b'"height"' in leaf for block in blocks for leaf in block.leaves]
    assert spelled == [True] * (height - 1) + [False] * (len(blocks) - height + 1)
    assert report.app_hash == upgraded.engine.snapshot().app_hash
    assert all(decode_leaf(leaf).reason == 0 for block in blocks for leaf in block.leaves)


def test_an_engine_stops_at_rules_that_it_does_not_know_and_stays_stopped(upgraded: Upgraded) -> None:
    """LED-UPG-3."""
    height = upgraded.agree(version=NEWEST + 1, ahead=1)
    while upgraded.engine.snapshot().height < height - 1:
        upgraded.enrol("last")
    with pytest.raises(Refused):
        upgraded.enrol("first")
    assert upgraded.engine.snapshot().height == height - 1
    upgraded.engine.close()

    with pytest.raises(Refused, match=f"rules {NEWEST + 1} hold from block {height} on") as refused:
        upgraded.restart()

    assert refused.value.reason is Reason.RULES_UNKNOWN


def test_a_follower_crosses_an_upgrade_with_its_leader(upgraded: Upgraded, tmp_path: Path) -> None:
    """LED-UPG-4."""
    upgraded.agree(version=2, ahead=2)
    (tmp_path / "follower").mkdir()
    leader = LocalLeader(upgraded.engine)
    follower = FollowerEngine(tmp_path / "follower", upgraded.engine.genesis, leader=leader, wait_s=0.1)
    upgraded.world.engine, engine = follower, upgraded.engine
    for name in ("one", "two", "three"):
        upgraded.enrol(name)

    app_hash = follower.snapshot().app_hash
    follower.close()
    upgraded.world.engine = engine

    assert app_hash == engine.snapshot().app_hash
