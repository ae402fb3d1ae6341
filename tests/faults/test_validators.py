"""Four real validators, killed and starved: the ledger goes on or waits, never forks, and loses nothing."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from iamata.engines.keeping.storage import LedgerFile
from iamata.ledger.events import ValidatorAccused
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.misbehaviour import MisbehaviourKind
from iamata.model.ids import TxId
from iamata.model.reasons import Refused
from iamata.node.home import LEDGER_FOLDER, load_genesis
from iamata.node.verification import verify_ledger
from iamata.testing.running import COMET, MEMBERS, NODE, RunningNetwork, start_twin
from iamata.workflows.replaying import ReplayReport

KILLS: Final = 6
"""Enough to meet a node at work in different places; more would only take longer."""
PORT: Final = 8700
STILL_S: Final = 4.0
ACCUSED_S: Final = 120.0
"""Two proposals of one round must meet: that takes a few turns of the validator that has two homes."""


@pytest.fixture
def network(require_part: Callable[[str], Path], tmp_path: Path) -> Iterator[RunningNetwork]:
    require_part("cometbft")
    running = RunningNetwork(tmp_path / "net", first_port=PORT)
    running.start()
    try:
        running.await_height(1)
        yield running
    finally:
        running.kill()


class Writing:
    """A thread that writes at one node without a pause, and remembers what was acknowledged."""

    def __init__(self, network: RunningNetwork, member: str) -> None:
        self.acknowledged: list[TxId] = []
        self._load = network.connect(member)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> list[TxId]:
        self._stopping.set()
        self._thread.join()
        self._load.close()
        return self.acknowledged

    def _run(self) -> None:
        while not self._stopping.is_set():
            futures = [self._load.submit() for _ in range(5)]
            for future in futures:
                with contextlib.suppress(Refused):
                    self.acknowledged.append(future.result().id)


def verify_all(network: RunningNetwork) -> dict[str, ReplayReport]:
    """Check every copy of the ledger, its votes included; the journals never heard of what was written."""
    reports = {}
    for member in MEMBERS:
        home = network.get_home(member)
        reports[member], _, votes = verify_ledger(home / LEDGER_FOLDER, [load_genesis(home)])
        assert votes is not None
        assert votes.headers > 0
    return reports


def list_ids(network: RunningNetwork, member: str) -> set[TxId]:
    file = LedgerFile(network.get_home(member) / LEDGER_FOLDER, is_writer=False)
    with contextlib.closing(file):
        return {decode_leaf(leaf).id for block in file.read_blocks() for leaf in block.leaves}


@pytest.mark.slow
def test_killed_nodes_catch_up_and_nothing_acknowledged_is_lost(network: RunningNetwork) -> None:
    choice = random.Random(17)
    writing = Writing(network, "hospital-a")
    for kill in range(KILLS):
        victim = MEMBERS[1 + kill % 3]
        parts = ((NODE,), (COMET,), (NODE, COMET))[kill // 3 % 3] if kill else (NODE, COMET)
        time.sleep(choice.uniform(0.1, 0.6))
        network.kill([victim], parts)
        before = network.read_height("hospital-a")
        network.await_height(before + 2, ["hospital-a"])
        network.kill([victim])  # a node and its CometBFT are of no use alone, and start together
        network.start([victim])
        network.await_height(before + 2, [victim])
    acknowledged = writing.stop()
    network.await_height(max(map(network.read_height, MEMBERS)))
    network.stop()

    reports = verify_all(network)
    assert len({(one.blocks, one.app_hash) for one in reports.values()}) == 1
    assert len(acknowledged) > 5 * KILLS
    for member in MEMBERS:
        assert set(acknowledged) <= list_ids(network, member)


@pytest.mark.slow
def test_with_two_of_four_down_nothing_becomes_final_until_they_are_back(network: RunningNetwork) -> None:
    load = network.connect("hospital-a")
    load.submit().result()
    network.kill(["hospital-c", "hospital-d"])
    time.sleep(1)
    before = network.read_comet_height("hospital-a")
    waiting = load.submit()
    time.sleep(STILL_S)

    assert not waiting.done()
    assert network.read_comet_height("hospital-a") == before

    network.start(["hospital-c", "hospital-d"])
    finality = waiting.result()
    load.close()
    network.await_height(finality.height)
    network.stop()

    reports = verify_all(network)
    shortest = min(one.blocks for one in reports.values())
    assert len({one.app_hashes[shortest] for one in reports.values()}) == 1


@pytest.mark.slow
def test_a_key_in_two_places_is_seen_and_becomes_a_proposal(network: RunningNetwork) -> None:
    """LED-VAL-6."""
    network.stop()
    with start_twin(network, "hospital-d"):
        network.start()
        network.await_height(1)
        writing = Writing(network, "hospital-a")
        try:
            accused = await_accusation(network)
        finally:
            writing.stop()
        height = max(map(network.read_height, MEMBERS[:3]))
        network.await_height(height, MEMBERS[:3])
    network.stop()

    assert (accused.member, accused.kind) == ("hospital-d", MisbehaviourKind.DUPLICATE_VOTE)
    assert accused.proposal is not msgspec.UNSET
    reports = [verify_all(network)[one] for one in MEMBERS[:3]]
    shortest = min(one.blocks for one in reports)
    assert len({one.app_hashes[shortest] for one in reports}) == 1


def await_accusation(network: RunningNetwork) -> ValidatorAccused:
    load, deadline_s = network.connect("hospital-b"), time.monotonic() + ACCUSED_S
    try:
        while time.monotonic() < deadline_s:
            for _, leaf in load.engine.events(0):
                if isinstance(leaf.event, ValidatorAccused):
                    return leaf.event
            time.sleep(0.5)
    finally:
        load.close()
    pytest.fail("nobody was accused")
