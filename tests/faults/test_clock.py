"""One validator's clock is an hour off: blocks keep the others' time, and only its own users notice."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from iamata.engines.comet.rpc import CometRpc
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.storage import LedgerFile
from iamata.model.reasons import ACCEPTED, Reason
from iamata.node import home
from iamata.node.configuration import Comet, read_configuration
from iamata.node.home import LEDGER_FOLDER
from iamata.node.supervising import Program
from iamata.testing.off_clock import build_off_clock, put_off
from iamata.testing.proving import Writing, prove
from iamata.testing.running import MEMBERS, RunningNetwork

PORT: Final = 8830
OFF: Final = MEMBERS[3]
HOUR_S: Final = 3_600
MS_PER_S: Final = 1_000
NEAR_MS: Final = 30_000
"""How far a block's time may be from ours, while four validators share two cores."""


class CheckAnswer(msgspec.Struct):
    """What CometBFT says to a bundle at its door."""

    code: int


@pytest.fixture(scope="module")
def off_clock(
    require_part: Callable[[str], Path], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    require_part("cometbft")
    require_part("go")
    return build_off_clock(root / "tools", tmp_path_factory.mktemp("off-clock"))


@pytest.fixture(scope="module")
def network(
    off_clock: Path,  # noqa: ARG001  so that nothing is founded where it cannot be built
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningNetwork]:
    folder = tmp_path_factory.mktemp("clocks")
    with pytest.MonkeyPatch.context() as earlier:
        # CometBFT sleeps until its genesis' time: by a clock that is behind that would be an hour.
        earlier.setattr(home, "read_clock_ms", lambda: read_clock_ms() - 2 * HOUR_S * MS_PER_S)
        running = RunningNetwork(folder / "net", first_port=PORT)
    try:
        yield running
    finally:
        running.kill()
        shutil.rmtree(folder)


def check_at(network: RunningNetwork, member: str, line: bytes) -> int:
    engine = read_configuration(network.get_home(member)).engine
    assert isinstance(engine, Comet)
    rpc = CometRpc(engine.rpc)
    try:
        return rpc.ask("broadcast_tx_sync", CheckAnswer, tx=f"0x{line.hex()}").code
    finally:
        rpc.close()


def find_newest_vote_s(network: RunningNetwork, heights: range) -> int:
    """Tell the latest time in any vote for these blocks."""
    engine = read_configuration(network.get_home("hospital-a")).engine
    assert isinstance(engine, Comet)
    rpc = CometRpc(engine.rpc)
    try:
        lights = [rpc.read_light_block(height) for height in heights]
    finally:
        rpc.close()
    return max(vote.time.seconds for light in lights for vote in light.votes if vote is not None)


def read_times_ms(network: RunningNetwork, *, first_height: int) -> list[int]:
    file = LedgerFile(network.get_home("hospital-a") / LEDGER_FOLDER, is_writer=False)
    try:
        return [block.time_ms for block in file.read_blocks(first_height=first_height)]
    finally:
        file.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shift_s", "code"),
    [(HOUR_S, Reason.EXPIRED), (-HOUR_S, ACCEPTED)],  # a door knows at least the last block's time
    ids=["ahead", "behind"],
)
def test_an_hour_off_moves_no_block_and_keeps_nobody_else_waiting(
    network: RunningNetwork, off_clock: Path, shift_s: int, code: int
) -> None:
    def place(member: str, program: Program) -> Program:
        return put_off(program, off_clock, shift_s) if member == OFF else program

    network.place = place
    network.start()
    network.await_height(1)
    network.await_comet()
    load, writing = network.connect("hospital-a"), Writing(network, "hospital-a")
    begun, begun_ms = network.read_height("hospital-a"), read_clock_ms()
    network.await_height(begun + 8)  # a turn of each to propose, and more
    codes = [check_at(network, member, load.write()) for member in ("hospital-a", OFF)]

    newest_s = find_newest_vote_s(network, range(begun + 1, begun + 8))

    network.kill([OFF])
    network.place = lambda _, program: program
    network.start()
    network.await_height(network.read_height("hospital-a") + 2)
    acknowledged = writing.stop()
    load.close()
    prove(network, acknowledged)
    times_ms = read_times_ms(network, first_height=begun + 2)
    is_seen_ahead = newest_s * MS_PER_S > begun_ms + HOUR_S * MS_PER_S // 2
    assert is_seen_ahead == (shift_s > 0)  # nobody votes with a time before the block's
    assert codes == [ACCEPTED, code]
    assert times_ms == sorted(times_ms)
    assert begun_ms - NEAR_MS < times_ms[0]
    assert times_ms[-1] < read_clock_ms() + NEAR_MS
