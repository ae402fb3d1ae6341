"""The disk of one validator is full: the others go on, and it is whole again once there is room."""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest

from iamata.testing.proving import Writing, compare
from iamata.testing.running import MEMBERS, RunningNetwork

PORT: Final = 8820
OTHERS: Final = MEMBERS[:3]
VICTIM: Final = MEMBERS[3]
DISK_MB: Final = 64
SAID_S: Final = 150.0
NO_ROOM: Final = "no space left on device|disk is full|STORAGE_FULL"
"""As CometBFT says it, SQLite, and the node."""
PIECE: Final = bytes(64 * 1024)

_MAIN: Final = "from iamata.cli.main import main; main()"


@pytest.fixture
def network(
    require_part: Callable[[str], Path], leave_out: Callable[[str], NoReturn], tmp_path: Path
) -> Iterator[RunningNetwork]:
    require_part("cometbft")
    running = RunningNetwork(tmp_path / "net", first_port=PORT)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(moving_to_small_disk(running.get_home(VICTIM)))
        except PermissionError:
            leave_out("a small disk may not be mounted here")
        stack.callback(running.kill)
        running.start(OTHERS)
        yield running


@contextlib.contextmanager
def moving_to_small_disk(home: Path) -> Iterator[None]:
    """Put a folder's content on a file system of its own that holds little."""
    aside = home.with_suffix(".aside")
    home.rename(aside)
    home.mkdir(mode=0o700)
    options = f"size={DISK_MB}m,mode=700"
    mounted = subprocess.run(  # noqa: S603
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", home],  # noqa: S607
        check=False,
    )
    if mounted.returncode:
        raise PermissionError
    try:
        shutil.copytree(aside, home, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)  # noqa: S603, S607


@contextlib.contextmanager
def up(home: Path, said: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a node as its operator does, with what is said written elsewhere."""
    with said.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-u", "-c", _MAIN, "node", "up", home],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(SAID_S)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(PIECE)
    return ballast


@pytest.mark.slow
def test_a_full_disk_stops_one_node_which_says_so_and_catches_up_when_there_is_room(
    network: RunningNetwork, tmp_path: Path
) -> None:
    home, said = network.get_home(VICTIM), tmp_path / "said"
    with up(home, said) as process:
        network.await_height(1)
        writing = Writing(network, "hospital-a")
        network.await_height(network.read_height("hospital-a") + 3)
        ballast = fill(home)
        code = process.wait(SAID_S)
    begun = network.read_height("hospital-a")
    network.await_height(begun + 5, OTHERS)

    assert code > 0
    assert re.search(NO_ROOM, said.read_text()), said.read_text()
    assert "Traceback" not in said.read_text()

    ballast.unlink()
    with up(home, said):
        network.await_height(begun + 10)
        acknowledged = writing.stop()
        network.await_height(network.read_height("hospital-a"))
    network.stop()
    compare(network, acknowledged)
