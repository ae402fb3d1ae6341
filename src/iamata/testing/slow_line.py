"""A line to a node that is slow both ways, or holds everything back: every byte arrives, late."""

import threading
import time
from types import TracebackType

from iamata.testing.relayed_line import RelayedLine


class SlowLine(RelayedLine):
    """A line whose speed a test sets."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        """How long what was sent at once is under way."""
        self.bytes_per_s = 1e9
        self.flowing = threading.Event()
        """While it is not set, nothing passes."""
        self.flowing.set()
        super().__init__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flowing.set()
        super().__exit__(kind, error, trace)

    def before_passing(self, size: int, *, is_sent: bool) -> None:  # noqa: ARG002  it is slow both ways
        """Wait as long as so many bytes are under way."""
        time.sleep(self.delay_s + size / self.bytes_per_s)
        self.flowing.wait()
