"""Four validators on hosts of their own, cut in two: who has no quorum waits, and nobody forks."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest

from iamata.testing.islands import Islands, is_namespace_allowed
from iamata.testing.proving import Writing, prove
from iamata.testing.running import MEMBERS, RunningNetwork

PORT: Final = 8800
SETTLE_S: Final = 1.0
"""What was on its way when the cable was cut has arrived by then, or never will."""
STILL_S: Final = 4.0


@pytest.fixture(scope="module")
def islands(
    require_part: Callable[[str], Path],
    leave_out: Callable[[str], NoReturn],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningNetwork, Islands]]:
    require_part("cometbft")
    require_part("ip")
    if not is_namespace_allowed():
        leave_out("network namespaces may not be made here")
    folder = tmp_path_factory.mktemp("islands")
    network = RunningNetwork(folder / "net", first_port=PORT)
    hosts = Islands(network)
    try:
        yield network, hosts
    finally:
        network.kill()
        hosts.close()
        shutil.rmtree(folder)


@pytest.fixture
def network(islands: tuple[RunningNetwork, Islands]) -> RunningNetwork:
    """Start what a test before has stopped, with nobody cut off."""
    running, hosts = islands
    hosts.heal()
    running.start()
    running.await_height(1)
    running.await_comet()
    return running


@pytest.fixture
def hosts(islands: tuple[RunningNetwork, Islands]) -> Islands:
    return islands[1]


@pytest.mark.slow
def test_three_go_on_without_the_fourth_which_waits_and_catches_up(
    network: RunningNetwork, hosts: Islands
) -> None:
    writing = Writing(network, "hospital-a")
    alone = network.connect("hospital-d")

    hosts.cut(["hospital-d"])
    time.sleep(SETTLE_S)
    stand = network.read_comet_height("hospital-d")
    waiting = alone.submit()
    begun = network.read_height("hospital-a")
    network.await_height(begun + 10, MEMBERS[:3])

    assert not waiting.done()
    assert network.read_comet_height("hospital-d") == stand

    hosts.heal()
    finality = waiting.result()
    alone.close()
    acknowledged = writing.stop()
    assert finality.height > begun
    assert len(acknowledged) > 10
    prove(network, [*acknowledged, finality.id])


@pytest.mark.slow
def test_two_halves_make_no_block_and_go_on_as_one_after_healing(
    network: RunningNetwork, hosts: Islands
) -> None:
    writings = [Writing(network, member) for member in ("hospital-a", "hospital-c")]
    network.await_height(network.read_height("hospital-a") + 3)

    hosts.cut(["hospital-c", "hospital-d"])
    time.sleep(SETTLE_S)
    heights = [network.read_comet_height(one) for one in MEMBERS]
    counts = [len(one.acknowledged) for one in writings]
    time.sleep(STILL_S)

    assert [network.read_comet_height(one) for one in MEMBERS] == heights
    assert [len(one.acknowledged) for one in writings] == counts

    hosts.heal()
    network.await_height(max(heights) + 3)
    acknowledged = [one for writing in writings for one in writing.stop()]
    assert len(acknowledged) > sum(counts)
    prove(network, acknowledged)
