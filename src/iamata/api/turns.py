"""Whose requests hold threads now: some wait for the ledger, and nobody's may take every thread."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from iamata.api.callers import Caller
from iamata.api.limits import KEY_TASKS_MAX
from iamata.model.ids import KeyId
from iamata.model.reasons import Reason, require


class Turns:
    """Threads by the key that asked."""

    def __init__(self) -> None:
        self._held: Counter[KeyId] = Counter()
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def take(self, caller: Caller | None) -> Iterator[None]:
        """Hold a thread for a caller, or refuse one who holds enough; strangers have rates of their own."""
        if caller is None:
            yield
            return
        with self._guard:
            is_modest = self._held[caller.key] < KEY_TASKS_MAX
            require(is_modest, Reason.TOO_MANY_REQUESTS, "too many requests of one key are under way")
            self._held[caller.key] += 1
        try:
            yield
        finally:
            with self._guard:
                self._held -= Counter((caller.key,))  # a counter keeps no zeros
