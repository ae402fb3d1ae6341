"""The server on a real socket: who dawdles is cut off, what is no HTTP is refused, TLS is checked."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from house import House
from iamata.api import app as application
from iamata.api import limits
from iamata.api.app import create_app
from iamata.api.server import NodeServer
from iamata.client.connection import Connection
from iamata.model.reasons import Reason, Refused
from iamata.node.configuration import Configuration
from iamata.node.serving import listening_at
from iamata.testing.certificates import make_certificate
from iamata.testing.scenes import Scene
from iamata.testing.surface import serve_office
from iamata.wire.bodies import Health, Nothing, RequestBody

STEP_S: Final = 0.3


@contextlib.contextmanager
def running(
    scene: Scene,
    *,
    tls: tuple[str, str] | None = None,
    also: Route | None = None,
    servers: list[NodeServer] | None = None,
) -> Iterator[tuple[str, int]]:
    serving = serve_office(scene, scene.a)
    app = create_app(serving)
    app.router.routes += [] if also is None else [also]
    server = NodeServer(app, on_ready=lambda: None, let_go=serving.watch.close, tls=tls)
    if servers is not None:
        servers.append(server)
    with listening_at(Configuration(port=0)) as (listening, url):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        host, port = url.removeprefix("http://").split(":")
        try:
            while not server.started:
                time.sleep(0.01)
            yield host, int(port)
        finally:
            server.should_exit = True
            thread.join(timeout=30)


@pytest.fixture
def place(scene: Scene) -> Iterator[tuple[str, int]]:
    with running(scene) as place:
        yield place


def send(place: tuple[str, int], *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send raw bytes, and return all that comes until the node closes."""
    with socket.create_connection(place, timeout=10) as raw:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                raw.sendall(part)
                time.sleep(pause_s)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := raw.recv(65_536):
                received += chunk
        return received


def read_reason(answer: bytes) -> Reason:
    return Reason(json.loads(answer.partition(b"\r\n\r\n")[2])["reason"])


def test_a_head_that_never_ends_is_cut_off(place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEAD_S_MAX", STEP_S)
    begun_s = time.monotonic()

    for parts in (
        (),
        (b"GET /healthz HT",),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n", b"c: d\r\n"),
    ):
        assert send(place, *parts, pause_s=STEP_S / 2) == b""

    assert time.monotonic() - begun_s < 3 * 4 * STEP_S + 2


def test_a_second_head_that_never_ends_is_cut_off_too(
    place: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_S_MAX", STEP_S)

    answer = send(place, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /heal", pause_s=0.1)

    assert answer.count(b"HTTP/1.1 200") == 1


def test_a_body_that_trickles_is_cut_off(place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_S_MAX", STEP_S)
    head = b"POST /v1/requests HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"

    answer = send(place, head, b"{", b" ", b" ", pause_s=STEP_S / 2)

    assert answer.startswith(b"HTTP/1.1 408")
    assert read_reason(answer) is Reason.TOO_SLOW


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"POST /v1/requests HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        b"POST /v1/requests HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\na: " + b"b" * (limits.HEAD_BYTES_MAX + 1) + b"\r\n\r\n",
    ],
    ids=["tls", "no target", "no host", "two hosts", "length", "chunk", "long head"],
)
def test_what_is_no_http_is_refused_in_the_one_shape(place: tuple[str, int], raw: bytes) -> None:
    answer = send(place, raw)

    assert answer.startswith(b"HTTP/1.1 4")
    assert read_reason(answer) in {Reason.MALFORMED, Reason.TOO_SLOW, Reason.TOO_LARGE}


def test_an_answer_that_is_not_taken_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEP_ALIVE_S", 1)
    servers: list[NodeServer] = []

    async def show_much(_: Request) -> Response:
        return Response(b"x" * 64 * 1_024 * 1_024)

    with (
        running(scene, also=Route("/much", show_much), servers=servers) as place,
        socket.create_connection(place, timeout=10) as raw,
    ):
        raw.sendall(b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n")
        raw.recv(1)
        until_s = time.monotonic() + 10
        while servers[0].server_state.connections and time.monotonic() < until_s:
            time.sleep(0.1)
        assert not servers[0].server_state.connections


def test_a_client_is_told_of_nobody_at_home() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connection = Connection(f"http://127.0.0.1:{port}")

    with pytest.raises(Refused) as caught:
        connection.post("/v1/requests", Nothing, RequestBody(request="a.b.c"))

    connection.close()
    assert caught.value.reason is Reason.NODE_UNREACHABLE


def test_tls_is_served_and_checked(
    scene: Scene, tmp_path: Path, require_part: Callable[[str], Path]
) -> None:
    certificate, key = make_certificate(tmp_path, require_part("openssl"))
    with running(scene, tls=(str(certificate), str(key))) as (host, port):
        url = f"https://{host}:{port}"
        trusting, doubting = Connection(url, authorities=certificate), Connection(url)
        assert trusting.get("/healthz", Health).status == "alive"
        with pytest.raises(Refused) as caught:
            doubting.get("/healthz", Health)
        trusting.close()
        doubting.close()
        with socket.create_connection((host, port)) as raw:
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            with old.wrap_socket(raw) as wrapped:
                assert wrapped.version() in {"TLSv1.2", "TLSv1.3"}
    assert caught.value.reason is Reason.NODE_UNREACHABLE


def test_a_certificate_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        Connection("https://127.0.0.1:1", authorities=tmp_path / "missing.pem")

    assert caught.value.reason is Reason.FILE_NOT_FOUND


def test_beyond_this_machine_a_node_needs_a_certificate() -> None:
    with pytest.raises(Refused) as caught, listening_at(Configuration(host="192.0.2.1", port=0)):
        pass

    assert caught.value.reason is Reason.INPUT_INVALID


def test_long_answers_are_spelled_beside_the_event_loop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    spelled: list[str] = []
    write = vars(application)["_write"]

    def note(result: object) -> Response:
        spelled.append(threading.current_thread().name)
        written: Response = write(result)
        return written

    monkeypatch.setattr(application, "_write", note)
    answers = [house.get("/v1/ledger/events?after=0", house.scene.b.author.key), house.get("/healthz")]

    assert [one.status_code for one in answers] == [200, 200]
    assert spelled[0].startswith("iamata-http")
    assert not spelled[1].startswith("iamata-http")
