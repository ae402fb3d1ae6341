"""State queries with a proof, as CometBFT passes them on to the node: at a steady rate, beside a load."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import msgspec

from iamata.engines.comet.queries import ENTRY
from iamata.ledger.tables import CURRENT, PARAMETERS
from iamata.node.configuration import Comet, read_configuration

BATCH: Final = 10
"""Questions in one request: as many as CometBFT takes by default."""


@dataclasses.dataclass
class Answered:
    """How many questions were answered, and in which time."""

    count: int = 0
    begun_s: float = 0.0
    ended_s: float = 0.0

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return self.count / (self.ended_s - self.begun_s)


@contextlib.contextmanager
def querying(homes: Sequence[Path], *, per_s: float) -> Iterator[Answered]:
    """Ask every node in turn while something else goes on; what is yielded is filled in at the end."""
    stopping = threading.Event()
    answered = Answered(begun_s=time.monotonic())
    pause_s = BATCH * len(homes) / per_s
    with ThreadPoolExecutor(len(homes)) as pool:
        asking = [pool.submit(_ask, home, pause_s, stopping) for home in homes]
        try:
            yield answered
        finally:
            stopping.set()
            answered.count = sum(one.result() for one in asking)
            answered.ended_s = time.monotonic()


def _ask(home: Path, pause_s: float, stopping: threading.Event) -> int:
    engine = read_configuration(home).engine
    assert isinstance(engine, Comet)  # noqa: S101  as it was founded
    key = PARAMETERS.key(CURRENT).hex()
    parameters = {"path": ENTRY, "data": key, "prove": True}
    question = {"jsonrpc": "2.0", "id": 1, "method": "abci_query", "params": parameters}
    body = msgspec.json.encode([question] * BATCH)
    count, due_s = 0, time.monotonic()
    with contextlib.closing(HTTPConnection(engine.rpc, timeout=60)) as connection:
        while not stopping.wait(max(0.0, due_s - time.monotonic())):
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            for answer in msgspec.json.decode(connection.getresponse().read()):
                if not answer["result"]["response"].get("proofOps"):
                    message = f"an answer without a proof: {answer}"
                    raise RuntimeError(message)
                count += 1
            due_s += pause_s
    return count
