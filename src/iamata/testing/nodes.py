"""Nodes as their users run them: processes of their own, on ports that are free, stopped in the end."""

import contextlib
import json
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from iamata.model.ids import MemberId
from iamata.node.configuration import Configuration, Follower, read_configuration, write_configuration

START_S_MAX: Final = 60
STOP_S_MAX: Final = 60
PROGRAM: Final = "from iamata.cli.main import main; main()"


class RunningNode:
    """One node in a process. Its log lies beside its home."""

    def __init__(self, home: Path, *arguments: str, verb: str = "up", program: str = PROGRAM) -> None:
        self.home = home
        self.log = home.with_name(f"{home.name}.log")
        run = [sys.executable, "-c", program]
        command = [*run, "node", verb, str(home), "--log", str(self.log), "--json", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603  our own program
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            _, said = self.process.communicate(timeout=START_S_MAX)
            message = f"the node did not start: {said}"
            raise RuntimeError(message)
        self.document: dict[str, Any] = json.loads(line)
        self.url: str = self.document["url"]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Tell the process to stop, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.communicate(timeout=STOP_S_MAX)
        return int(self.process.returncode)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGKILL if kind else signal.SIGTERM)


def take_any_port(home: Path) -> None:
    """Let a home's node listen where there is room."""
    write_configuration(home, _change(home, port=0))


def keep_port(node: RunningNode) -> None:
    """Let a home's node listen, when it is started again, where others know it to be."""
    port = urllib.parse.urlsplit(node.url).port or 0
    write_configuration(node.home, _change(node.home, port=port))


def introduce(home: Path, *, peers: dict[str, str], leader: str | None = None) -> None:
    """Tell a home where others listen now."""
    changes: dict[str, Any] = {"peers": {MemberId(one): url for one, url in peers.items()}}
    if leader is not None:
        changes["engine"] = Follower(leader=leader)
    write_configuration(home, _change(home, **changes))


@contextlib.contextmanager
def running_network(homes: Sequence[Path]) -> Iterator[list[RunningNode]]:
    """Run the nodes of a network; the first home orders the ledger, and all know each other."""
    with contextlib.ExitStack() as stack:
        nodes: list[RunningNode] = []
        for home in homes:
            take_any_port(home)
            if nodes:
                urls = {node.home.name: node.url for node in nodes}
                introduce(home, peers=urls, leader=nodes[0].url)
            nodes.append(stack.enter_context(RunningNode(home)))
        yield nodes


def _change(home: Path, **changes: Any) -> Configuration:  # noqa: ANN401  a configuration's fields
    return msgspec.structs.replace(read_configuration(home), **changes)
