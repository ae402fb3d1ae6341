"""What every test may ask for: the shared data, system parts, and a machine without a network."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

ROOT: Final = Path(__file__).resolve().parents[1]
"""The checkout."""

RequirePart = Callable[[str], Path]
LeaveOut = Callable[[str], NoReturn]

MEMORY: Final = Path("/dev/shm")  # noqa: S108  nothing of value lies there
"""Where Linux keeps files in memory."""
MEMORY_BYTES_MIN: Final = 4 * 1024**3
"""A whole run leaves less than a gigabyte, and pytest keeps three."""


def has_memory() -> bool:
    """Tell whether there is room in memory for what tests write, and programs may be run from there."""
    if not os.access(MEMORY, os.W_OK):
        return False
    found = os.statvfs(MEMORY)
    return found.f_bavail * found.f_frsize >= MEMORY_BYTES_MIN and not found.f_flag & os.ST_NOEXEC


if has_memory():
    # What tests write is durable there for as long as the machine runs, which outlives every process that
    # they kill; on a disk they would wait for it, longer than they run.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

settings.register_profile(
    "iamata",
    deadline=None,  # a loaded machine is slow, not wrong
    max_examples=100,
    print_blob=True,  # a failure says how to repeat it
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("iamata")


NETWORKS: Final = (
    "tests/faults/",
    "tests/comet/test_real.py",
    "tests/comet/test_state_sync.py",
    "tests/cli/test_continuing.py",
    "tests/cli/test_learning_at_nodes.py",
)
"""Tests that run networks of processes: two at a time, each with ports of its own, beside nothing else."""
LONG_NETWORKS: Final = (
    "tests/faults/test_validators.py",
    "tests/faults/test_crash.py",
    "tests/faults/test_joining.py",
    "tests/faults/test_demo_validators.py",
)
"""Those of them that take minutes."""
LONG: Final = (
    "tests/faults/test_flips.py",
    "tests/docs/test_commands.py",
    "tests/faults/test_late_emergencies.py",
)
"""What takes minutes in one process, or runs no network in spite of where it is."""
STORIES: Final = ("tests/cli/test_every_command.py", "tests/cli/test_learning.py")
"""Tests that share a long story, which one process tells once."""


class ByModule(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
    """Let a module stay whole in one process."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "stories" if module in STORIES else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    """Say who runs what where tests run in several processes."""
    return ByModule(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what runs a network of processes."""
    if is_network(item.nodeid):
        item.add_marker(pytest.mark.network)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left alone with it in the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG + LONG_NETWORKS))


def is_network(place: str) -> bool:
    """Tell whether a test runs a network of processes."""
    return place.startswith(NETWORKS) and not place.startswith(LONG)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data(root: Path) -> Path:
    """Return the folder of published data beside the checkout, or skip where there is none."""
    folder = root.parent / "shared" / "data"
    if not folder.is_dir():
        _leave_out("the published data are not beside this checkout, in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def leave_out() -> LeaveOut:
    """Return a function that skips a test and says why, or fails it where nothing may be missing."""
    return _leave_out


@pytest.fixture(scope="session")
def require_part() -> RequirePart:
    """Return a function that finds a system part by its command, or skips: `require_part("chromium")`."""

    def find_or_skip(command: str) -> Path:
        built = Path(sys.executable).with_name(command)  # by make, beside our Python
        path = str(built) if built.is_file() else shutil.which(command)
        if path is None:
            _leave_out(f"the system part {command} is not installed here")
        return Path(path)

    return find_or_skip


def _leave_out(why: str) -> NoReturn:
    """Skip the test, or fail it where nothing may be missing."""
    if os.environ.get("IAMATA_REQUIRE_ALL") == "1":
        pytest.fail(f"{why}, and IAMATA_REQUIRE_ALL is set")
    pytest.skip(why)


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """Keep tests on this machine: stop a connection to anything but loopback and local sockets."""
    if event == "socket.connect":
        address = arguments[1]
        host = str(address[0]) if isinstance(address, tuple) else "localhost"
        if host not in {"localhost", "::1"} and not host.startswith("127."):
            message = f"a test may not reach {host}: sockets are closed"
            raise PermissionError(message)


sys.addaudithook(_refuse_network)
