"""A node that trickles holds nobody: an answer has a deadline, and closing cuts what is under way."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from iamata.client import connection as connections
from iamata.client.connection import Connection
from iamata.client.leader import RemoteLeader
from iamata.engines.follower.engine import FollowerEngine
from iamata.model.reasons import Reason, Refused
from iamata.testing.scenes import Scene
from iamata.wire.bodies import Health

HEADERS: Final = b"HTTP/1.1 200 OK\r\n"
BODY: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
LAST_BODY: Final = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100000\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n"
BEGINNINGS: Final = {"headers": HEADERS, "body": BODY, "last body": LAST_BODY, "continue": CONTINUE}


class Trickler:
    """A node that answers every request, and never to the end."""

    def __init__(self, beginning: bytes) -> None:
        self.asked = threading.Semaphore(0)
        self.count = 0
        self._beginning = beginning
        self._ending = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Hang up."""
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._trickle, args=(taken,)))
                self._threads[-1].start()

    def _trickle(self, taken: socket.socket) -> None:
        with taken, contextlib.suppress(OSError):
            if not taken.recv(65_536):
                return
            self.count += 1
            taken.sendall(self._beginning)
            self.asked.release()
            while not self._ending.wait(0.02):
                taken.sendall(b"x" if self._beginning is not HEADERS else b"x: y\r\n")


@pytest.fixture(params=BEGINNINGS.values(), ids=list(BEGINNINGS))
def trickler(request: pytest.FixtureRequest) -> Iterator[Trickler]:
    trickler = Trickler(request.param)
    yield trickler
    trickler.close()


@pytest.fixture
def connection(trickler: Trickler) -> Iterator[Connection]:
    connection = Connection(trickler.url)
    yield connection
    connection.close()


def refuse_get(connection: Connection, *, wait_s: float = 0.0) -> Reason:
    with pytest.raises(Refused) as caught:
        connection.get("/healthz", Health, wait_s=wait_s)
    return caught.value.reason


def test_an_answer_that_trickles_is_given_up(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER_S_MAX", 0.3)
    begun_s = time.monotonic()

    with pytest.raises(Refused) as caught:
        connection.post("/v1/requests", Health, Health(status="x"), is_signed=False)

    assert caught.value.reason is Reason.NODE_UNREACHABLE
    assert 0.3 <= time.monotonic() - begun_s < 3


def test_a_question_waits_as_long_as_it_asked_and_is_not_asked_again(
    connection: Connection, trickler: Trickler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_S_MAX", 0.1)
    begun_s = time.monotonic()

    reason = refuse_get(connection, wait_s=0.4)

    assert reason is Reason.NODE_UNREACHABLE
    assert 0.5 <= time.monotonic() - begun_s < 3
    assert trickler.count == 1


def test_closing_cuts_what_is_under_way_and_asks_nothing_again(
    connection: Connection, trickler: Trickler
) -> None:
    reasons: list[Reason] = []
    asking = threading.Thread(target=lambda: reasons.append(refuse_get(connection)))
    asking.start()
    assert trickler.asked.acquire(timeout=10)
    begun_s = time.monotonic()

    connection.close()
    asking.join()

    assert time.monotonic() - begun_s < 3
    assert reasons == [Reason.NODE_UNREACHABLE]
    assert refuse_get(connection) is Reason.NODE_UNREACHABLE
    assert trickler.count == 1


def test_a_follower_of_a_trickling_leader_closes_at_once(
    scene: Scene, trickler: Trickler, tmp_path: Path
) -> None:
    genesis = scene.world.engine.genesis
    leader = RemoteLeader(Connection(trickler.url, key=scene.b.author.key), genesis)
    follower = FollowerEngine(tmp_path, genesis, leader=leader)
    assert trickler.asked.acquire(timeout=10)
    begun_s = time.monotonic()

    follower.close()

    assert time.monotonic() - begun_s < 3
    assert follower.trouble is None
