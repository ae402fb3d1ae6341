"""Who sends the load: processes of their own, which speak to the nodes over HTTP as a member's systems do.

A lane is what one of the spine's hospitals does: windows of signed transactions, each one request, the next
one sent when the last one's answers are there. What lanes send is signed before the clock starts.
"""

import contextlib
import dataclasses
import functools
import itertools
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final

from bench.workload import PATIENTS_EACH, SEED, Hospital
from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine
from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.engine import read_clock_ms
from iamata.model.ids import MemberId
from iamata.model.reasons import ACCEPTED
from iamata.node.configuration import read_configuration
from iamata.node.home import MEMBERS_FOLDER, SIGNING_KEY, load_genesis
from iamata.node.keyfiles import read_key
from iamata.node.running import spell_url
from iamata.stores.sqlite.home import KEYS_FOLDER
from iamata.wire.bodies import Settlement, Submission
from iamata.workflows.author import Author

WINDOW: Final = 250
LANES_EACH: Final = 4
"""Lanes at one node: sixteen in all, as many as the spine has hospitals."""
SENDERS: Final = 2
"""Processes that send, each to its part of the nodes."""

_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """What a sender got through: accepted transactions, and from when to when by the monotonic clock."""

    count: int
    begun_s: float
    ended_s: float
    size_bytes: int
    times_ms: tuple[float, ...]
    """From each request to its answer."""

    @property
    def rate(self) -> float:
        """Transactions in a second."""
        return self.count / (self.ended_s - self.begun_s)


class Load:
    """The sending processes, from start to close."""

    def __init__(self, homes: Sequence[Path]) -> None:
        self._senders = [_Sender(homes[part::SENDERS]) for part in range(min(SENDERS, len(homes)))]

    def sign(self, count: int) -> None:
        """Enrol new patients, and let every lane sign so many transactions for them."""
        self._ask("sign", count)

    def send(self, *, for_s: float, per_s: float | None = None, window: int = WINDOW) -> Sent:
        """Send what was signed, as fast as answers come or at a steady rate over all lanes."""
        each = None if per_s is None else per_s / len(self._senders)
        return join_sent(self._ask("send", for_s, each, window))

    def close(self) -> None:
        """End the processes."""
        for sender in self._senders:
            sender.close()

    def _ask(self, name: str, *arguments: object) -> list[Any]:
        for sender in self._senders:
            sender.ask(name, *arguments)
        return [sender.hear() for sender in self._senders]


def join_sent(parts: Sequence[Sent]) -> Sent:
    """Put what several got through at the same time together."""
    return Sent(
        count=sum(one.count for one in parts),
        begun_s=min(one.begun_s for one in parts),
        ended_s=max(one.ended_s for one in parts),
        size_bytes=sum(one.size_bytes for one in parts),
        times_ms=tuple(itertools.chain.from_iterable(one.times_ms for one in parts)),
    )


@contextlib.contextmanager
def sending(homes: Sequence[Path]) -> Iterator[Load]:
    """Have the sending processes for a while."""
    load = Load(homes)
    try:
        yield load
    finally:
        load.close()


class _Sender:
    """One process, and the pipe to it."""

    def __init__(self, homes: Sequence[Path]) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_run, args=(theirs, tuple(homes)), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, name: str, *arguments: object) -> None:
        self._pipe.send((name, arguments))

    def hear(self) -> Any:  # noqa: ANN401  what was asked for
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        self._pipe.close()
        self._process.join()


class _LookingOnce:
    """A ledger whose state is asked for once: whoever signs ahead needs no newer one."""

    def __init__(self, engine: RemoteEngine) -> None:
        self.genesis = engine.genesis
        self.network = engine.network
        self.submit = engine.submit
        self.events = engine.events
        self.snapshot = functools.cache(engine.snapshot)


class _Lane:
    """One hospital at one node."""

    def __init__(self, home: Path, number: int) -> None:
        key = SigningKey.from_seed(read_key(home / MEMBERS_FOLDER / home.name / KEYS_FOLDER / SIGNING_KEY))
        self._connection = Connection(spell_url(read_configuration(home)), key=key)
        engine = _LookingOnce(RemoteEngine(self._connection, load_genesis(home)))
        self._author = Author(engine, key, read_clock_ms, os.urandom)
        self._member = MemberId(home.name)
        self._number = number
        self._signed: list[str] = []

    def sign(self, count: int) -> None:
        hospital = Hospital(self._member, self._author, random.Random(SEED + self._number))
        enrolments = [raw.decode("ascii") for raw in hospital.enrol(PATIENTS_EACH)]
        for begin in range(0, len(enrolments), WINDOW):
            self._post(enrolments[begin : begin + WINDOW])
        self._signed = [raw.decode("ascii") for raw in hospital.write_mix(count)]

    def send(self, *, until_s: float, pause_s: float, window: int) -> Sent:
        count = size = 0
        times_ms = []
        begun_s = due_s = time.monotonic()
        while due_s < until_s and self._signed:
            time.sleep(max(0.0, due_s - time.monotonic()))
            batch, self._signed = self._signed[:window], self._signed[window:]
            asked_s = time.monotonic()
            self._post(batch)
            times_ms.append((time.monotonic() - asked_s) * 1_000)
            count += len(batch)
            size += sum(map(len, batch))
            due_s = due_s + pause_s if pause_s else time.monotonic()
        return Sent(count, begun_s, time.monotonic(), size, tuple(times_ms))

    def _post(self, batch: Sequence[str]) -> None:
        answers = self._connection.post(
            "/v1/transactions", Settlement, Submission(transactions=tuple(batch))
        ).answers
        for one in answers:
            if one.finality is None or one.finality.reason != ACCEPTED:
                message = f"a transaction of the workload was refused: {one}"
                raise RuntimeError(message)


def _run(pipe: Pipe, homes: Sequence[Path]) -> None:
    """Answer in the process of a sender until the pipe ends."""
    lanes = [
        _Lane(home, number * len(homes) + place)
        for place, home in enumerate(homes)
        for number in range(LANES_EACH)
    ]
    with ThreadPoolExecutor(len(lanes)) as pool, contextlib.suppress(EOFError):
        while True:
            name, arguments = pipe.recv()
            try:
                pipe.send(_ACTS[name](lanes, pool, *arguments))
            except BaseException as error:  # noqa: BLE001  who asked is to hear of it
                pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _sign(lanes: Sequence[_Lane], pool: ThreadPoolExecutor, count: int) -> None:
    list(pool.map(lambda lane: lane.sign(count), lanes))


def _send(
    lanes: Sequence[_Lane], pool: ThreadPoolExecutor, for_s: float, per_s: float | None, window: int
) -> Sent:
    pause_s = 0.0 if per_s is None else window * len(lanes) / per_s
    until_s = time.monotonic() + for_s
    begin = threading.Barrier(len(lanes))

    def run(place: int) -> Sent:
        begin.wait()
        time.sleep(pause_s * place / len(lanes))  # a steady load comes from all lanes in turn
        return lanes[place].send(until_s=until_s, pause_s=pause_s, window=window)

    return join_sent(list(pool.map(run, range(len(lanes)))))


_ACTS: Final[dict[str, Callable[..., Any]]] = {"sign": _sign, "send": _send}
