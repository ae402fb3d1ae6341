"""Programs that need each other run together, die together and start again; who cannot run is given up."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from iamata.model.reasons import Reason, Refused
from iamata.node import supervising
from iamata.node.running import GIVEN_UP
from iamata.node.supervising import Group, Program, supervise

SLEEPER = "import time, pathlib, os; pathlib.Path('{name}.' + str(os.getpid())).touch(); time.sleep(60)"


class Supervised:
    """A supervisor in a thread, as a command would run it."""

    def __init__(self, *groups: Group) -> None:
        self.told: list[str] = []
        self.refused: Refused | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(groups,))
        self._thread.start()

    def _run(self, groups: tuple[Group, ...]) -> None:
        try:
            supervise(groups, self._stopping, self.told.append)
        except Refused as refused:
            self.refused = refused

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def await_end(self) -> Refused:
        self._thread.join(30)
        assert self.refused is not None
        return self.refused


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "PAUSE_FIRST_S", 0.05)
    monkeypatch.setattr(supervising, "LOOK_S", 0.02)
    monkeypatch.setattr(supervising, "STOP_S", 5.0)


def run_python(name: str, code: str, folder: Path) -> Program:
    arguments = (sys.executable, "-I", "-u", "-c", code)
    return Program(name=name, arguments=arguments, folder=folder, log=folder / "logs" / f"{name}.log")


def sleep(name: str, folder: Path) -> Program:
    return run_python(name, SLEEPER.format(name=name), folder)


def await_pids(folder: Path, name: str, count: int) -> list[int]:
    for _ in range(1_000):
        found = sorted(folder.glob(f"{name}.*"), key=lambda path: path.stat().st_mtime_ns)
        if len(found) >= count:
            return [int(path.suffix[1:]) for path in found]
        time.sleep(0.02)
    pytest.fail(f"{name} was never started {count} times")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_who_dies_takes_its_group_along_and_all_start_again(tmp_path: Path) -> None:
    supervised = Supervised(Group("a", (sleep("one", tmp_path), sleep("two", tmp_path))))
    (first,), (partner,) = await_pids(tmp_path, "one", 1), await_pids(tmp_path, "two", 1)

    os.kill(first, signal.SIGKILL)
    again, partner_again = await_pids(tmp_path, "one", 2)[1], await_pids(tmp_path, "two", 2)[1]

    assert not is_alive(partner)
    supervised.stop()
    assert not is_alive(again)
    assert not is_alive(partner_again)
    assert "one was killed by signal 9" in supervised.told[0]


def test_another_group_is_left_alone(tmp_path: Path) -> None:
    supervised = Supervised(Group("a", (sleep("one", tmp_path),)), Group("b", (sleep("two", tmp_path),)))
    (first,), (other,) = await_pids(tmp_path, "one", 1), await_pids(tmp_path, "two", 1)

    os.kill(first, signal.SIGKILL)
    await_pids(tmp_path, "one", 2)

    assert is_alive(other)
    supervised.stop()


def test_who_dies_at_every_start_is_given_up_and_its_last_words_are_told(tmp_path: Path) -> None:
    once_up = "import pathlib, time\nwhile not list(pathlib.Path().glob('one.*')): time.sleep(0.01)\n"
    code = f"{once_up}print('first'); raise SystemExit('the port is taken')"
    failing = run_python("comet", code, tmp_path)
    supervised = Supervised(Group("north", (sleep("one", tmp_path), failing)))

    refused = supervised.await_end()

    assert refused.reason is Reason.ENGINE_STOPPED
    assert "north: comet ended with 1, saying: the port is taken" in refused.detail
    assert len(list(tmp_path.glob("one.*"))) <= supervising.STARTS_MAX
    assert not any(is_alive(pid) for pid in await_pids(tmp_path, "one", 1))


def test_a_group_that_is_given_up_takes_no_other_along(tmp_path: Path) -> None:
    failing = run_python("comet", "raise SystemExit('the port is taken')", tmp_path)
    supervised = Supervised(Group("north", (failing,)), Group("south", (sleep("two", tmp_path),)))
    [other] = await_pids(tmp_path, "two", 1)
    for _ in range(1_000):
        if any("is given up" in line for line in supervised.told):
            break
        time.sleep(0.02)

    assert "north: comet ended with 1, saying: the port is taken" in supervised.told[-1]
    assert f"It was started {supervising.STARTS_MAX} times and is given up" in supervised.told[-1]
    assert is_alive(other)
    told = len(supervised.told)
    os.kill(other, signal.SIGKILL)  # and it is still looked after
    await_pids(tmp_path, "two", 2)
    assert len(supervised.told) == told + 1
    supervised.stop()
    assert supervised.refused is None


def test_when_every_group_is_given_up_the_reasons_of_all_are_told(tmp_path: Path) -> None:
    north, south = (run_python(name, f"raise SystemExit('{name} fell')", tmp_path) for name in ("n", "s"))
    supervised = Supervised(Group("north", (north,)), Group("south", (south,)))

    refused = supervised.await_end()

    assert "north: n ended with 1, saying: n fell" in refused.detail
    assert "south: s ended with 1, saying: s fell" in refused.detail


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    missing = Program("comet", ("/no/such/program",), tmp_path, tmp_path / "log")

    with pytest.raises(Refused, match="comet: No such file"):
        supervise([Group("a", (missing,))], threading.Event(), lambda _: None)


def test_who_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "STOP_S", 0.3)
    deaf = run_python(
        "deaf", "import signal; signal.signal(15, signal.SIG_IGN); " + SLEEPER.format(name="deaf"), tmp_path
    )
    supervised = Supervised(Group("a", (deaf,)))
    (pid,) = await_pids(tmp_path, "deaf", 1)

    supervised.stop()

    assert not is_alive(pid)


def test_what_programs_say_is_written_down_and_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "LOG_BYTES_MAX", 1_000)
    talker = run_python(
        "talker", "for n in range(100): print(n, 'x' * 50)\n" + SLEEPER.format(name="talker"), tmp_path
    )
    supervised = Supervised(Group("a", (talker,)))
    await_pids(tmp_path, "talker", 1)
    supervised.stop()

    logs = sorted((tmp_path / "logs").iterdir())
    assert [log.name for log in logs] == ["talker.log", *(f"talker.log.{n}" for n in (1, 2, 3, 4))]
    assert all(log.stat().st_size <= 1_000 for log in logs)
    assert "99 xxx" in (tmp_path / "logs" / "talker.log").read_text()


def test_who_lives_on_after_giving_up_is_ended_and_started_again(tmp_path: Path) -> None:
    said = "print('GIVE UP: no room', flush=True); print('goodbye', flush=True); time.sleep(60)"
    code = SLEEPER.format(name="one").replace("time.sleep(60)", said)
    program = dataclasses.replace(run_python("one", code, tmp_path), last_words=re.compile("GIVE UP"))
    supervised = Supervised(Group("a", (program,)))

    pids = await_pids(tmp_path, "one", 2)
    supervised.stop()

    assert "one can do no more, saying: GIVE UP: no room" in supervised.told[0]
    assert not any(is_alive(pid) for pid in pids)


def test_what_a_stranger_says_in_a_log_ends_nobody(tmp_path: Path) -> None:
    strange = (
        f"print('rejected err=GIVE UP'); print('x' * {supervising.LINE_CHARS_MAX} + 'GIVE UP', flush=True)"
    )
    code = SLEEPER.format(name="one").replace("time.sleep(60)", f"{strange}; time.sleep(60)")
    program = dataclasses.replace(run_python("one", code, tmp_path), last_words=re.compile("GIVE UP"))
    supervised = Supervised(Group("a", (program,)))
    [pid] = await_pids(tmp_path, "one", 1)
    while not program.log.exists() or program.log.read_text().count("GIVE UP") < 2:
        time.sleep(0.02)

    time.sleep(3 * supervising.LOOK_S)

    assert (supervised.told, is_alive(pid)) == ([], True)
    supervised.stop()


def test_cometbft_gives_up_in_its_own_words_alone() -> None:
    own = 'E[2026-11-26|05:50:59.123] CONSENSUS FAILURE!!!                         module=consensus err="x"'
    strange = (
        "I[2026-11-26|05:50:59.123] Inbound Peer rejected                        module=p2p "
        'err="incompatible: peer is on a different network. Got CONSENSUS FAILURE!!!, expected x"'
    )

    assert GIVEN_UP.match(own)
    assert not GIVEN_UP.match(strange)


def test_a_group_that_cannot_be_started_again_takes_no_other_along(tmp_path: Path) -> None:
    script = tmp_path / "program"
    script.write_text(f"#!{sys.executable}\n{SLEEPER.format(name='one')}\n")
    script.chmod(0o755)
    vanishing = Program("comet", (str(script),), tmp_path, tmp_path / "logs" / "comet.log")
    supervised = Supervised(Group("north", (vanishing,)), Group("south", (sleep("two", tmp_path),)))
    [first], [other] = await_pids(tmp_path, "one", 1), await_pids(tmp_path, "two", 1)

    script.unlink()
    os.kill(first, signal.SIGKILL)
    for _ in range(1_000):
        if any("No such file" in line for line in supervised.told):
            break
        time.sleep(0.02)

    assert "north: comet: No such file or directory. Everything of north starts again" in supervised.told[1]
    assert is_alive(other)
    supervised.stop()
    assert supervised.refused is None


def test_a_log_that_cannot_be_written_stops_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "one.log"
    log.parent.mkdir()
    log.symlink_to("/dev/full")
    code = "print('\\n'.join(map(str, range(10_000))), flush=True); exit('no room')"
    program = dataclasses.replace(run_python("one", code, tmp_path), log=log)

    refused = Supervised(Group("a", (program,))).await_end()

    assert "saying: no room" in refused.detail
    assert capfd.readouterr().err == ""


SUPERVISOR = """
import pathlib, sys, threading
from iamata.node import supervising
from iamata.node.supervising import Group, Program, supervise

folder = pathlib.Path.cwd()
supervising.STOP_S = 0.5
programs = [
    Program(name=str(at), arguments=(sys.executable, "-I", "-c", code), folder=folder, log=folder / str(at))
    for at, code in enumerate(sys.argv[1:])
]
supervise([Group("a", tuple(programs))], threading.Event(), print)
"""


def test_programs_end_when_their_supervisor_is_killed_even_one_that_does_not_want_to(
    tmp_path: Path,
) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER.format(name="deaf")
    command = [sys.executable, "-c", SUPERVISOR, SLEEPER.format(name="one"), deaf]
    with subprocess.Popen(command, cwd=tmp_path) as supervisor:  # noqa: S603  our own program
        pids = await_pids(tmp_path, "one", 1) + await_pids(tmp_path, "deaf", 1)
        supervisor.kill()

    deadline_s = time.monotonic() + 20
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline_s, "they outlived their supervisor"
        time.sleep(0.05)
