"""Run nodes as processes of their own: each with its CometBFT where it has one, kept running together."""

import contextlib
import contextvars
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from iamata.client.connection import Connection
from iamata.ledger.genesis import compute_network_id, get_first_height
from iamata.model.reasons import Reason, Refused, require
from iamata.node.comet_engine import COMET_LOG, LOGS_FOLDER
from iamata.node.comet_home import COMET_FOLDER
from iamata.node.cometbft import find_cometbft
from iamata.node.configuration import NODE_FILE, Comet, Configuration, read_configuration
from iamata.node.home import MEMBERS_MAX, list_member_folders, load_genesis
from iamata.node.peers import find_authorities
from iamata.node.supervising import Group, Program, supervise
from iamata.wire.bodies import NodeInfo

READY_S: Final = 120.0
LOOK_S: Final = 0.2

CORES: Final = "GOMAXPROCS"
"""One core is enough for CometBFT here; with more, Go's scheduler looks for work on an idle network."""

GIVEN_UP: Final = re.compile(r"E\[[^\]]*\] CONSENSUS FAILURE!!!")
"""What CometBFT says when it takes part no more, as after a failed write; it lives on all the same. Only at
the begin of a line: further on it repeats what peers say of themselves before it knows them."""

_MAIN: Final = "from iamata.cli.main import main; main()"
"""What the installed command runs; the child finds our modules where we found them."""


def list_homes(path: Path) -> list[Path]:
    """List the homes of nodes that lie in a folder, in order, or refuse a folder without any."""
    homes = sorted(one.parent for one in path.glob(f"*/{NODE_FILE}")) if path.is_dir() else []
    require(bool(homes), Reason.HOME_NOT_FOUND, f"no nodes' homes lie in {path}")
    require(len(homes) <= MEMBERS_MAX, Reason.INPUT_INVALID, f"more than {MEMBERS_MAX} homes")
    return homes


def is_comet(home: Path) -> bool:
    """Tell whether a home's node is a validator's, or is to be one."""
    return isinstance(read_configuration(home).engine, Comet)


def run_nodes(
    homes: Sequence[Path],
    stopping: threading.Event,
    *,
    tell: Callable[[str], None],
    on_ready: Callable[[], None],
) -> None:
    """Run the nodes of these homes until somebody says to stop; say when all of them answer."""
    groups = [make_group(home) for home in homes]
    context = contextvars.copy_context()  # what is said there is said as here: for people, or for machines
    waiting = threading.Thread(
        target=context.run, args=(_await_all, homes, stopping, on_ready), daemon=True
    )
    waiting.start()
    try:
        supervise(groups, stopping, tell)
    finally:
        stopping.set()
        waiting.join()


def make_group(home: Path) -> Group:
    """Say which programs a home's node consists of: where CometBFT orders, two."""
    load_genesis(home)
    home = home.resolve()
    logs = home / LOGS_FOLDER
    serve = (sys.executable, "-u", "-c", _MAIN, "node", "serve", str(home), "--json")
    programs = [Program(name="node", arguments=serve, folder=home, log=logs / "node.log")]
    if is_comet(home):
        start = (str(find_cometbft()), "start", "--home", str(home / COMET_FOLDER))
        # From the home, so that the socket's name stays short: the system allows 107 characters.
        programs.append(
            Program(
                name="cometbft",
                arguments=start,
                folder=home,
                log=logs / COMET_LOG,
                environment={CORES: os.environ.get(CORES, "1")},
                last_words=GIVEN_UP,
            )
        )
    return Group(name=home.name, programs=tuple(programs))


def spell_url(configuration: Configuration) -> str:
    """Spell the URL at which a node answers on this machine."""
    scheme = "http" if configuration.tls is None else "https"
    host = f"[{configuration.host}]" if ":" in configuration.host else configuration.host
    return f"{scheme}://{host}:{configuration.port}"


def find_node(home: Path) -> NodeInfo | None:
    """Return what a home's node says of itself, None while it does not answer.

    Another network's node, or another member's, at the same address is not the home's.
    """
    configuration = read_configuration(home)
    connection = Connection(spell_url(configuration), authorities=find_authorities(configuration, home))
    try:
        info = connection.get("/v1/node", NodeInfo)
    except Refused:
        return None
    finally:
        connection.close()
    members = [one.name for one in list_member_folders(home)]
    is_ours = info.network == compute_network_id(load_genesis(home)) and info.member in members
    return info if is_ours else None


def await_nodes(homes: Sequence[Path], stopping: threading.Event | None = None) -> None:
    """Wait until every node answers, or refuse; return early where somebody says to stop."""
    stopping = stopping or threading.Event()
    deadline_s = time.monotonic() + READY_S
    left = list(homes)
    while left := [home for home in left if not _is_ready(home)]:
        if stopping.wait(LOOK_S):
            return
        names = ", ".join(home.name for home in left)
        is_in_time = time.monotonic() < deadline_s
        require(is_in_time, Reason.NODE_UNREACHABLE, f"after {READY_S:g} s: {names}")


def _is_ready(home: Path) -> bool:
    """Tell whether a node answers, and, where its network continues another, can prove what it says."""
    info, genesis = find_node(home), load_genesis(home)
    return info is not None and (genesis.continues is None or info.height >= get_first_height(genesis))


def _await_all(homes: Sequence[Path], stopping: threading.Event, on_ready: Callable[[], None]) -> None:
    with contextlib.suppress(Refused):
        await_nodes(homes, stopping)
        if not stopping.is_set():
            on_ready()
