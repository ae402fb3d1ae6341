"""End programs whose supervisor was killed: else they would go on, and the next start find the home in use.

A small process learns which programs run, each the first of its own process group. When its input ends, the
supervisor is no more: what still runs is asked to stop, and killed where it takes too long. This works on
every POSIX system, and for programs that are not ours.
"""

import contextlib
import subprocess
import sys
from typing import Final

_PROGRAM: Final = """
import os, signal, sys, time
running = set()
for line in sys.stdin:
    (running.add if line[0] == "+" else running.discard)(int(line[1:]))

def tell(number):
    for group in list(running):
        try:
            os.killpg(group, number)
        except OSError:
            running.discard(group)

tell(signal.SIGTERM)
end_s = time.monotonic() + float(sys.argv[1])
while running and time.monotonic() < end_s:
    time.sleep(0.1)
    tell(0)
tell(signal.SIGKILL)
"""


class Guard:
    """The process that outlives us by a moment."""

    def __init__(self, *, stop_s: float) -> None:
        """Let programs take so long to stop."""
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter
            [sys.executable, "-I", "-S", "-c", _PROGRAM, str(stop_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what interrupts us in a terminal is not for it
            env={},
            bufsize=0,
        )

    def keep(self, pid: int) -> None:
        """Say that this process group runs from now on."""
        self._write(f"+{pid}\n")

    def let_go(self, pid: int) -> None:
        """Say that this process group has ended: its number may become another's."""
        self._write(f"-{pid}\n")

    def close(self) -> None:
        """End it, once everything that ran has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError):  # somebody killed it: the programs run, only unguarded
            if self._process.stdin is not None:
                self._process.stdin.write(line.encode("ascii"))
