"""A validator whose node was modified to harm the others, between three that are honest."""

import base64
import dataclasses
import http.client
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec
import pytest

from iamata.engines.comet.rpc import CometRpc
from iamata.engines.comet.waiting import MEMBER_BUNDLES_MAX
from iamata.model.reasons import Refused
from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, SETTINGS_FILE
from iamata.node.configuration import Comet, read_configuration
from iamata.node.supervising import Program
from iamata.testing.proving import Writing, prove
from iamata.testing.rogue import LIED, LIES
from iamata.testing.running import MEMBERS, NODE, RunningNetwork

PORT: Final = 8810
HONEST: Final = MEMBERS[:3]
ROGUE: Final = MEMBERS[3]
PATIENCE_S: Final = 90.0
FLOOD_S: Final = 8.0
LANDS_S: Final = 20.0
"""How long an honest member's transaction may take between a rogue's, on two cores for four validators."""
FLOOD_BATCH: Final = 200
FULL_S: Final = 0.05
OTHERS_MAX: Final = 20
"""Bundles that honest members have waiting at a time."""


@pytest.fixture(scope="module")
def founded(
    require_part: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningNetwork]:
    require_part("cometbft")
    folder = tmp_path_factory.mktemp("rogues")
    network = RunningNetwork(folder / "net", first_port=PORT)
    for member in MEMBERS:
        set_up(network.get_home(member), "consensus", 'timeout_prevote = "200ms"')  # each lie costs a round
        set_up(network.get_home(member), "consensus", 'timeout_precommit = "200ms"')
    set_up(network.get_home(ROGUE), "rpc", "max_request_batch_size = 0")  # to be flooded
    try:
        yield network
    finally:
        network.kill()
        shutil.rmtree(folder)


def set_up(home: Path, section: str, setting: str) -> None:
    """Add a setting of CometBFT that has its default else."""
    settings = home / COMET_FOLDER / CONFIG_FOLDER / SETTINGS_FILE
    settings.write_text(settings.read_text().replace(f"[{section}]\n", f"[{section}]\n{setting}\n"))


@pytest.fixture
def start(founded: RunningNetwork) -> Iterator[Callable[[str, str], RunningNetwork]]:
    """Give a function that starts the network with these programs of `iamata.testing.rogue`."""

    def start_with(honest: str, rogue: str) -> RunningNetwork:
        def place(member: str, program: Program) -> Program:
            name = rogue if member == ROGUE else honest
            if program.name != NODE or not name:
                return program
            code = f"from iamata.testing.rogue import {name}; {name}()"
            at = program.arguments.index("-c") + 1
            changed = (*program.arguments[:at], code, *program.arguments[at + 1 :])
            return dataclasses.replace(program, arguments=changed)

        founded.place = place
        founded.start()
        founded.await_height(1)
        founded.await_comet()
        return founded

    yield start_with
    founded.kill()  # a test that failed leaves its programs to nobody


@pytest.mark.slow
def test_what_a_liar_proposes_is_rejected_and_the_next_one_proposes(
    start: Callable[[str, str], RunningNetwork],
) -> None:
    network = start("break_rules", "lie")
    writing = Writing(network, "hospital-a")
    begun_s = time.monotonic()
    while any(not is_rejected(network, member, lie) for member in HONEST for lie in LIES):
        assert time.monotonic() - begun_s < PATIENCE_S, describe(network)
        time.sleep(0.2)
    before = network.read_height("hospital-a")
    network.await_height(before + 2)
    acknowledged = writing.stop()

    prove(network, acknowledged)
    assert len(acknowledged) > len(LIES)
    assert read_log(network, ROGUE).count(LIED) >= len(LIES)


def is_rejected(network: RunningNetwork, member: str, lie: str) -> bool:
    return (
        re.search(f"a proposal for block .* was rejected: .*{lie}", read_log(network, member)) is not None
    )


def describe(network: RunningNetwork) -> str:
    lies = re.findall(f"{LIED}(.*) at", read_log(network, ROGUE))
    lacking = [(one, lie) for one in HONEST for lie in LIES if not is_rejected(network, one, lie)]
    return f"proposed: {Counter(lies)}; never rejected: {lacking}"


def read_log(network: RunningNetwork, member: str) -> str:
    return (network.get_home(member) / "logs" / "node.log").read_text()


class Flood:
    """A member's own transactions, each alone in its bundle, past its node and without a pause."""

    def __init__(self, network: RunningNetwork, member: str) -> None:
        self._load = network.connect(member)
        self._rpc = http.client.HTTPConnection(get_rpc(network, member), timeout=PATIENCE_S)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._rpc.close()
        self._load.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            lines = [base64.b64encode(self._load.write()).decode() for _ in range(FLOOD_BATCH)]
            method = {"jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_async"}
            body = msgspec.json.encode([method | {"params": {"tx": line}} for line in lines])
            self._rpc.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = self._rpc.getresponse()
            assert answer.status == HTTPStatus.OK, answer.read()
            is_full = b"mempool is full" in answer.read()
            self._stopping.wait(FULL_S if is_full else 0)


class Unconfirmed(msgspec.Struct):
    """How much waits in a CometBFT's mempool."""

    total: str


def get_rpc(network: RunningNetwork, member: str) -> str:
    engine = read_configuration(network.get_home(member)).engine
    assert isinstance(engine, Comet)
    return engine.rpc


def count_waiting(rpc: CometRpc) -> int:
    try:
        return int(rpc.ask("num_unconfirmed_txs", Unconfirmed).total)
    except Refused:  # it is busy with what it was sent
        return 0


@pytest.mark.slow
def test_a_member_that_floods_takes_no_other_members_room(
    start: Callable[[str, str], RunningNetwork],
) -> None:
    network = start("", "open_door")
    loads = [network.connect(one) for one in HONEST]
    rpcs = {one: CometRpc(get_rpc(network, one)) for one in MEMBERS}
    most, acknowledged = Counter[str](), []
    flood = Flood(network, ROGUE)
    begun_s = time.monotonic()
    try:
        while time.monotonic() - begun_s < FLOOD_S:
            futures = [load.submit() for load in loads]
            acknowledged += [future.result(LANDS_S).id for future in futures]
            for member, rpc in rpcs.items():
                most[member] = max(most[member], count_waiting(rpc))
    finally:
        flood.stop()
        for load in loads:
            load.close()
        for rpc in rpcs.values():
            rpc.close()

    assert most[ROGUE] > MEMBER_BUNDLES_MAX, "this was no flood"
    assert all(most[one] <= MEMBER_BUNDLES_MAX + OTHERS_MAX for one in HONEST), most
    assert len(acknowledged) >= len(HONEST)
    network.kill([ROGUE])  # a CometBFT that is flooded does not stop in good order
    prove(network, acknowledged, HONEST)
