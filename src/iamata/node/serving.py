"""Serve one member of a home over HTTP until somebody says to stop."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from iamata.api.app import create_app
from iamata.api.gate import Gate, is_loopback
from iamata.api.heights import HeldViews, LedgerWatch
from iamata.api.limits import BACKLOG
from iamata.api.metrics import Metrics
from iamata.api.pool import Pool
from iamata.api.server import NodeServer
from iamata.api.serving import Serving
from iamata.api.turns import Turns
from iamata.duties.learning import LearningDuty
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.announcing import AnnouncingEngine
from iamata.node.configuration import Configuration, read_configuration
from iamata.node.home import Home, open_home
from iamata.node.lineage import read_lineage
from iamata.ports import Engine
from iamata.workers.collecting import collecting_rarely
from iamata.workflows.office import Office

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, and where."""

    member: MemberId
    url: str


def serve_home(path: Path, *, member: str | None, on_ready: Callable[[Served], None]) -> None:
    """Open a home and serve one of its members; return after a signal, with everything closed.

    Refuse when the ledger halted: CometBFT would be turned away for ever, and a new process may go on.
    """
    configuration = read_configuration(path)
    with open_home(path, is_supervised=True) as home, listening_at(configuration) as (listening, url):
        office = choose_office(home, member)
        learning = LearningDuty(office, home.get_desk)
        serving = make_serving(home, office, configuration, url=url, learning=learning)
        served = Served(member=office.member, url=url)
        server = NodeServer(
            create_app(serving),
            on_ready=lambda: on_ready(served),
            let_go=serving.watch.close,
            is_over=lambda: is_halted(home.engine),
            tls=_find_tls(path, configuration),
        )
        learning.start()
        try:
            with collecting_rarely():
                server.serve_until_stopped(listening)
        finally:
            learning.stop()
        is_whole = not is_halted(home.engine)
        require(is_whole, Reason.ENGINE_STOPPED, "the ledger halted; the node's log says after what")


def is_halted(engine: Engine) -> bool:
    """Tell whether a ledger cannot go on in this process."""
    return isinstance(engine, AnnouncingEngine) and engine.is_halted


def choose_office(home: Home, member: str | None) -> Office:
    """Return the office that a node serves: the home's only one, or the one that was named."""
    if member is not None:
        return home.get_office(member)
    served = ", ".join(home.offices)
    require(len(home.offices) == 1, Reason.INPUT_INVALID, f"say with --member which of these: {served}")
    return next(iter(home.offices.values()))


def make_serving(
    home: Home, office: Office, configuration: Configuration, *, url: str, learning: LearningDuty
) -> Serving:
    """Wire what the routes work with."""
    engine, pool = home.engine, Pool()
    watch = LedgerWatch(engine, pool)
    if isinstance(engine, AnnouncingEngine):
        engine.listen(watch.hear)
    return Serving(
        office=office,
        engine_kind=str(configuration.engine.__struct_config__.tag),
        lineage=read_lineage(home.path, engine.genesis),
        find_trouble=lambda: engine.trouble if isinstance(engine, AnnouncingEngine) else None,
        read_blocks=lambda first: engine.read_blocks(first_height=first),
        get_desk=home.get_desk,
        gate=Gate(
            engine,
            office.member,
            names=configuration.names or list_names(url),
            clock=office.author.clock,
        ),
        views=HeldViews(engine),
        watch=watch,
        pool=pool,
        turns=Turns(),
        learning=learning,
        metrics=Metrics(),
    )


def list_names(url: str) -> tuple[str, ...]:
    """List the authorities by which a node is asked at its own address."""
    scheme, _, authority = url.partition("://")
    host, _, port = authority.rpartition(":")
    names = [authority, f"localhost:{port}"] if is_loopback(host.strip("[]")) else [authority]
    is_default = int(port) == _DEFAULT_PORTS[scheme]
    return tuple(name.rpartition(":")[0] if is_default else name for name in names)


@contextlib.contextmanager
def listening_at(configuration: Configuration) -> Iterator[tuple[socket.socket, str]]:
    """Bind the address of a node, and say its URL; a taken one is refused by name."""
    host, scheme = configuration.host, "http" if configuration.tls is None else "https"
    is_private = is_loopback(host) or configuration.tls is not None
    require(is_private, Reason.INPUT_INVALID, "to listen beyond this machine a node needs a certificate")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once only where the protocol is named; else answers wait 40 ms to be acknowledged.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, configuration.port))
            listening.listen(BACKLOG)
        except OSError as error:
            place = f"{host}:{configuration.port}: {error.strerror}"
            raise Refused(Reason.ADDRESS_TAKEN, place) from error
        shown = f"[{host}]" if family is socket.AF_INET6 else host
        yield listening, f"{scheme}://{shown}:{listening.getsockname()[1]}"


def _find_tls(path: Path, configuration: Configuration) -> tuple[str, str] | None:
    if configuration.tls is None:
        return None
    files = (path / configuration.tls.certificate, path / configuration.tls.key)
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*files)
    except OSError as error:  # as errors of TLS are
        raise Refused(Reason.INPUT_INVALID, "the certificate and its key cannot be used") from error
    return str(files[0]), str(files[1])
