"""The floor: CometBFT's own kvstore in four processes, with the very settings that our validators have.

It is built into CometBFT, keeps everything in memory, and checks no signature. Its transactions are as long
as ours are on the average, and as many of them are under way at once; they go in by ten to a request,
which is the most that CometBFT takes by default.
"""

import base64
import contextlib
import itertools
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from bench.comet.load import LANES_EACH, WINDOW
from iamata.engines.comet.rpc import CometRpc
from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, SETTINGS_FILE
from iamata.node.configuration import Comet, read_configuration
from iamata.testing.running import COMET, MEMBERS, RunningNetwork

BATCH: Final = 10
UNDER_WAY: Final = WINDOW * LANES_EACH * len(MEMBERS)
LOOK_S: Final = 0.02
WARM_UP_S: Final = 3.0


class Meta(msgspec.Struct):
    """One block in the answer to `/blockchain`."""

    num_txs: str


class Metas(msgspec.Struct):
    """What `/blockchain` answers."""

    block_metas: list[Meta]


def measure_kvstore(folder: Path, *, for_s: float, size_bytes: int, first_port: int) -> float:
    """Return how many transactions of this size in a second the kvstore gets through."""
    network = RunningNetwork(folder, first_port=first_port)
    addresses = [_plug_kvstore(network, member) for member in MEMBERS]
    network.start(parts=[COMET])
    try:
        for member in MEMBERS:
            _await_answer(network, member)
        with _Flood(addresses, size_bytes) as flood:
            time.sleep(WARM_UP_S)
            before, begun_s = flood.final, time.monotonic()
            time.sleep(for_s)
            return (flood.final - before) / (time.monotonic() - begun_s)
    finally:
        network.stop()


def _plug_kvstore(network: RunningNetwork, member: str) -> str:
    home = network.get_home(member)
    settings = home / COMET_FOLDER / CONFIG_FOLDER / SETTINGS_FILE
    text = re.sub('^proxy_app = ".*"$', 'proxy_app = "kvstore"', settings.read_text(), flags=re.MULTILINE)
    settings.write_text(text.replace("filter_peers = true", "filter_peers = false"))
    engine = read_configuration(home).engine
    assert isinstance(engine, Comet)  # noqa: S101  as it was founded
    return engine.rpc


def _await_answer(network: RunningNetwork, member: str) -> None:
    deadline_s = time.monotonic() + 60
    while network.read_comet_height(member) < 0:
        if time.monotonic() > deadline_s:
            message = "the kvstore does not start"
            raise TimeoutError(message)
        time.sleep(LOOK_S)


class _Flood:
    """Lanes that hand transactions in while so many are under way and no more; it counts what is final."""

    def __init__(self, addresses: Sequence[str], size_bytes: int) -> None:
        self.final = 0
        self._size_bytes = size_bytes
        self._room = threading.Semaphore(UNDER_WAY // BATCH)
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._rpc = CometRpc(addresses[0])
        self._pool = ThreadPoolExecutor(len(addresses) * LANES_EACH + 1)
        self._running = [self._pool.submit(self._watch)]
        self._running += [
            self._pool.submit(self._send, one) for one in addresses for _ in range(LANES_EACH)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._room.release(len(self._running))
        for one in self._running:
            one.result()
        self._rpc.close()
        self._pool.shutdown()

    def _watch(self) -> None:
        height, spare = int(self._rpc.read_status().sync_info.latest_block_height), 0
        while not self._stopping.wait(LOOK_S):
            newest = int(self._rpc.read_status().sync_info.latest_block_height)
            for one in range(height + 1, newest + 1):
                metas = self._rpc.ask("blockchain", Metas, minHeight=str(one), maxHeight=str(one))
                count = int(metas.block_metas[0].num_txs)
                self.final += count
                spare += count
                if spare >= BATCH:
                    self._room.release(spare // BATCH)
                spare %= BATCH
            height = newest

    def _send(self, address: str) -> None:
        with contextlib.closing(HTTPConnection(address, timeout=60)) as connection:
            while self._room.acquire() and not self._stopping.is_set():
                questions = list(self._write_batch())
                # A node that is behind the one we watch may have its mempool full, and says so.
                while (questions := _ask(connection, questions)) and not self._stopping.wait(LOOK_S):
                    pass

    def _write_batch(self) -> Iterator[dict[str, Any]]:
        for _ in range(BATCH):
            head = b"%d=" % next(self._numbers)
            raw = head + os.urandom(self._size_bytes // 2).hex().encode("ascii")
            yield {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "broadcast_tx_sync",
                "params": {"tx": base64.b64encode(raw[: self._size_bytes]).decode("ascii")},
            }


def _ask(connection: HTTPConnection, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hand transactions in, and return what was not taken."""
    connection.request("POST", "/", msgspec.json.encode(questions), {"Content-Type": "application/json"})
    answers = msgspec.json.decode(connection.getresponse().read())
    return [one for one, answer in zip(questions, answers, strict=True) if "error" in answer]
