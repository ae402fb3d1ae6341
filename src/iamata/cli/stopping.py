"""Commands that run until somebody says to stop: Ctrl-C, or a signal of the system."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def until_told_to_stop() -> Iterator[threading.Event]:
    """Set an event when the process is told to stop, instead of dying in the middle of something."""
    stopping = threading.Event()
    before = {number: signal.signal(number, lambda _number, _frame: stopping.set()) for number in SIGNALS}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
