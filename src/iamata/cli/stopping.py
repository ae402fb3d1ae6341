"""Commands that run until somebody says to stop: Ctrl-C, or a signal of the system."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def until_told_to_stop() -> Iterator[threading.Event]:
    """Set an event when the process is told to stop, instead of dying in the middle of something.

    A thread sets it: the handler of a signal runs inside whatever the main thread does, and where that is
    to wait for the very event, it holds the event's lock.
    """
    stopping = threading.Event()
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    before = {number: signal.signal(number, _let_pass) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(sink)
    thread = threading.Thread(target=_listen, args=(source, stopping), name="iamata-signals", daemon=True)
    thread.start()
    try:
        yield stopping
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(sink)
        thread.join()
        os.close(source)


def _let_pass(_number: int, _frame: object) -> None:
    """Leave it to the thread, which hears of every signal by the pipe."""


def _listen(source: int, stopping: threading.Event) -> None:
    if os.read(source, 1):
        stopping.set()
        while os.read(source, 1):
            """Let further signals pass until the other end is closed."""
