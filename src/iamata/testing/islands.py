"""Hosts for a network's homes that can be cut off from each other: network namespaces and two bridges.

A cut moves hosts to the other bridge: what is sent across goes missing, no connection is told. Needs root
and the command `ip`. Nothing outside the namespaces is changed, and they end with this process.
"""

import contextlib
import dataclasses
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator
from typing import Final

from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, SETTINGS_FILE
from iamata.node.configuration import Comet, read_configuration
from iamata.node.supervising import Program
from iamata.testing.relaying import READY
from iamata.testing.running import MEMBERS, RunningNetwork

BACKLOG: Final = 64
SHORES: Final = ("mainland", "island")
ADDRESS: Final = "192.0.2.{}"
"""For documents and tests (RFC 5737): nobody has them, and here they do not leave a namespace."""

_MAIN: Final = "from iamata.testing.relaying import main; main()"


def is_namespace_allowed() -> bool:
    """Tell whether we may make namespaces here."""
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)  # noqa: S607
    return tried.returncode == 0


class Islands:
    """A namespace for each home of a network that has not started yet."""

    def __init__(self, network: RunningNetwork) -> None:
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[str, str] = {}
        self._network = network
        try:
            self._switch = self._hold("", [])
            for shore in SHORES:
                _enter(self._switch, "ip", "link", "add", "name", shore, "type", "bridge")
                _enter(self._switch, "ip", "link", "set", shore, "up")
            for place, member in enumerate(MEMBERS, start=1):
                self._settle(member, place)
        except BaseException:
            self.close()
            raise
        network.place = self._place

    def cut(self, members: Collection[str]) -> None:
        """Cut these off from all others; among themselves they hear each other."""
        for member, port in self._ports.items():
            shore = SHORES[member in members]
            _enter(self._switch, "ip", "link", "set", port, "master", shore)

    def heal(self) -> None:
        """Let all of them hear each other."""
        self.cut([])

    def close(self) -> None:
        """End the namespaces; what runs in them is to be ended before."""
        for holder in self._holders.values():
            holder.kill()
            holder.communicate()

    def _settle(self, member: str, place: int) -> None:
        """Give a home its host, and tell its CometBFT and the others' of the address there."""
        home = self._network.get_home(member)
        configuration = read_configuration(home)
        engine = configuration.engine
        assert isinstance(engine, Comet)  # noqa: S101  as it was founded
        rpc_host, _, rpc_port = engine.rpc.rpartition(":")
        holder = self._hold(member, [(configuration.host, configuration.port), (rpc_host, int(rpc_port))])
        port, address = f"port{place}", ADDRESS.format(place)
        peer = ("type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        _enter(self._switch, "ip", "link", "add", "name", port, *peer)
        _enter(self._switch, "ip", "link", "set", port, "master", SHORES[0], "up")
        _enter(holder, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _enter(holder, "ip", "link", "set", link, "up")
        self._ports[member] = port
        p2p = f"{address}:{engine.p2p.rpartition(':')[2]}"
        for other in MEMBERS:
            settings = self._network.get_home(other) / COMET_FOLDER / CONFIG_FOLDER / SETTINGS_FILE
            settings.write_text(settings.read_text().replace(engine.p2p, p2p))

    def _hold(self, name: str, addresses: list[tuple[str, int]]) -> "subprocess.Popen[bytes]":
        """Start the process that a namespace belongs to."""
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(one) for one in _listen(addresses)]
            numbers = [one.fileno() for one in sockets]
            holder = subprocess.Popen(  # noqa: S603  our own program
                ["unshare", "--net", sys.executable, "-c", _MAIN, *map(str, numbers)],  # noqa: S607
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=numbers,
            )
        self._holders[name] = holder
        assert holder.stdout is not None  # noqa: S101  it is a pipe
        if holder.stdout.readline() != READY:
            message = f"the namespace of {name or 'the bridges'} could not be made"
            raise RuntimeError(message)
        return holder

    def _place(self, member: str, program: Program) -> Program:
        """Say how to start a home's program on its host."""
        inside = ("nsenter", f"--net=/proc/{self._holders[member].pid}/ns/net", "--", *program.arguments)
        return dataclasses.replace(program, arguments=inside)


def _listen(addresses: list[tuple[str, int]]) -> Iterator[socket.socket]:
    for address in addresses:
        yield socket.create_server(address, backlog=BACKLOG)


def _enter(holder: "subprocess.Popen[bytes]", *command: str) -> None:
    """Run a command in a namespace."""
    subprocess.run(  # noqa: S603  our own commands
        ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--", *command],  # noqa: S607
        check=True,
        capture_output=True,
    )
