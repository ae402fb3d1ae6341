"""A tap on a line: passes on what goes to a node and comes from it, and counts the bytes."""

import threading

from iamata.testing.relayed_line import RelayedLine


class Tap(RelayedLine):
    """A line that counts, and hardly slows."""

    read_bytes = 262_144

    def __init__(self) -> None:
        self.sent_bytes = 0
        """To the node."""
        self.received_bytes = 0
        """From it."""
        self._counting = threading.Lock()
        super().__init__()

    def before_passing(self, size: int, *, is_sent: bool) -> None:
        """Count the bytes."""
        with self._counting:
            if is_sent:
                self.sent_bytes += size
            else:
                self.received_bytes += size
