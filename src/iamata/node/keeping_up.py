"""A network's nodes, kept running by this process, one of which can be taken down to work at its home."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from iamata.model.reasons import Refused
from iamata.node.configuration import read_configuration
from iamata.node.home import Home, open_home
from iamata.node.running import await_nodes, list_homes, make_group, spell_url
from iamata.node.supervising import supervise

Tell = Callable[[str], None]


class KeptNodes:
    """One supervisor for each home in a folder."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._homes = {home.name: home for home in list_homes(folder)}
        self._tell = tell
        self._running: dict[str, tuple[threading.Thread, threading.Event]] = {}
        self._refused: Refused | None = None

    def find_url(self, member: str) -> str:
        """Return the URL of a member's node."""
        return spell_url(read_configuration(self._homes[member]))

    def start(self, *members: str) -> None:
        """Start these nodes, or all, and wait until they answer."""
        chosen = members or tuple(self._homes)
        for member in chosen:
            stopping = threading.Event()
            thread = threading.Thread(target=self._run, args=(member, stopping), name=f"iamata-{member}")
            thread.start()
            self._running[member] = thread, stopping
        await_nodes([self._homes[member] for member in chosen])
        if self._refused is not None:
            raise self._refused

    def stop(self, *members: str) -> None:
        """Stop these nodes, or all."""
        chosen = [self._running.pop(member) for member in members or tuple(self._running)]
        for _, stopping in chosen:
            stopping.set()
        for thread, _ in chosen:
            thread.join()

    @contextlib.contextmanager
    def working_at(self, member: str) -> Iterator[Home]:
        """Take one node down, open its home here while the others go on, and start the node again."""
        self.stop(member)
        with open_home(self._homes[member]) as home:
            yield home
        self.start(member)

    def _run(self, member: str, stopping: threading.Event) -> None:
        try:
            supervise([make_group(self._homes[member])], stopping, self._tell)
        except Refused as refused:
            self._refused = refused


@contextlib.contextmanager
def keeping_up(folder: Path, tell: Tell, *members: str) -> Iterator[KeptNodes]:
    """Run all nodes of a folder, or for a beginning these, and stop them in the end."""
    nodes = KeptNodes(folder, tell)
    try:
        nodes.start(*members)
        yield nodes
    finally:
        nodes.stop()
