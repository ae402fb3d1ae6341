"""How often somebody may ask: a bucket of tokens for each, filled at a steady rate."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from iamata.api.limits import BUCKETS_MAX
from iamata.model.reasons import Reason, require


class Rates:
    """Buckets by name; the one that was used longest ago makes room."""

    def __init__(self, *, per_s: float, burst: int, clock_s: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock_s = clock_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._guard = threading.Lock()

    def take(self, name: str, count: int = 1) -> None:
        """Take some tokens, or refuse where fewer are left, and take none."""
        now_s = self._clock_s()
        with self._guard:
            tokens, at_s = self._buckets.pop(name, (float(self._burst), now_s))
            # A clock that was set back takes nothing away, or it would shut everybody out for as long.
            passed_s = max(0.0, now_s - at_s)
            tokens = min(float(self._burst), tokens + passed_s * self._per_s)
            is_free = tokens >= count
            self._buckets[name] = (tokens - count * is_free, now_s)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        require(is_free, Reason.TOO_MANY_REQUESTS)
