"""Four real validators, killed and starved: the ledger goes on or waits, never forks, and loses nothing."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from iamata.ledger.events import ValidatorAccused
from iamata.ledger.misbehaviour import MisbehaviourKind
from iamata.testing.proving import Writing, prove, verify_all
from iamata.testing.running import COMET, MEMBERS, NODE, PARTS, RunningNetwork, start_twin

KILLS: Final = 50
KILLS_S_MAX: Final = 900.0
"""A machine too slow for all of them within this time fails the test rather than pass it with fewer."""
AT_WORK_S_MAX: Final = 0.3
"""How long the one killed before may have been at work again, as one of four, before the next kill."""
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


@pytest.mark.slow
def test_killed_nodes_catch_up_and_nothing_acknowledged_is_lost(network: RunningNetwork) -> None:
    chance = random.Random(20_261_126)
    writing, begun_s = Writing(network, "hospital-a"), time.monotonic()
    for kill in range(KILLS):
        assert time.monotonic() - begun_s < KILLS_S_MAX, f"only {kill} kills in {KILLS_S_MAX} s"
        victim = chance.choice(MEMBERS[1:])
        parts = chance.choice(((NODE,), (COMET,), PARTS))
        time.sleep(chance.uniform(0, AT_WORK_S_MAX))
        network.kill([victim], parts)
        before = network.read_height("hospital-a")
        if NODE in parts:
            network.kill([victim])  # CometBFT ends when its node does
        network.start([victim])
        network.await_height(before, [victim])
        network.await_votes(victim)  # or the next one to die would be the second of four
    acknowledged = writing.stop()

    assert len(acknowledged) > 5 * KILLS
    prove(network, acknowledged)


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
