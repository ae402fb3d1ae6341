"""The runs in which a node takes part, in turn: one of each study, so many studies at a time.

The owner of a study can begin runs without an end. They hold up that study alone, and take no memory.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from iamata.model.ids import StudyId
from iamata.model.reasons import Reason, require

STUDIES_AT_ONCE_MAX: Final = 4
"""In runs of which a node takes part."""
RUNS_WAITING_MAX: Final = 8
"""Of one study; the next is refused."""

Work = Callable[[], None]


class Turns:
    """What is to be done for each study, in the order in which it came. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[StudyId, deque[Work]] = {}
        """A study is in it as long as something of it is being done."""
        self._places = threading.BoundedSemaphore(STUDIES_AT_ONCE_MAX)

    def queue(self, study: StudyId, work: Work) -> None:
        """Do something, which raises nothing, when it is its turn; TOO_BUSY where too much waits."""
        with self._lock:
            waiting = self._waiting.get(study)
            if waiting is not None:
                require(len(waiting) < RUNS_WAITING_MAX, Reason.TOO_BUSY, "too many runs of a study wait")
                waiting.append(work)
                return
            self._waiting[study] = deque([work])
        threading.Thread(target=self._go_through, args=(study,), name="iamata-run", daemon=True).start()

    def _go_through(self, study: StudyId) -> None:
        while (work := self._take(study)) is not None:
            with self._places:
                work()

    def _take(self, study: StudyId) -> Work | None:
        with self._lock:
            if self._waiting[study]:
                return self._waiting[study].popleft()
            del self._waiting[study]
            return None
