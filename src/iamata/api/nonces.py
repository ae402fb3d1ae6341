"""Which signed requests were seen: a signature serves once, and is forgotten when it can serve no more."""

import threading
from collections import deque
from typing import Final

from iamata.api.limits import NONCES_MAX
from iamata.model.reasons import Reason, require
from iamata.wire.signatures import AHEAD_S_MAX, VALID_S_MAX, Proof

KEPT_S: Final = VALID_S_MAX + AHEAD_S_MAX


class Nonces:
    """Nonces of known keys, in the order in which they came."""

    def __init__(self, nonces_max: int = NONCES_MAX) -> None:
        self._nonces_max = nonces_max
        self._seen: set[tuple[str, str]] = set()
        self._order: deque[tuple[int, tuple[str, str]]] = deque()
        self._guard = threading.Lock()

    def use(self, proof: Proof, *, now_s: int) -> None:
        """Remember a request, or refuse one that was seen; with no room left, refuse rather than forget."""
        name = (proof.key, proof.nonce)
        with self._guard:
            while self._order and self._order[0][0] < now_s:
                self._seen.discard(self._order.popleft()[1])
            require(name not in self._seen, Reason.REPLAYED, "the request")
            require(len(self._seen) < self._nonces_max, Reason.TOO_BUSY, "signed requests are remembered")
            # No signature lives longer than this, so the order of arrival is an order of forgetting.
            self._seen.add(name)
            self._order.append((now_s + KEPT_S, name))
