"""Threads for use cases, which are synchronous: so many run, so many may wait, the rest is refused."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from iamata.api.limits import QUEUE_MAX, WORKERS
from iamata.model.reasons import Reason, require

ResultT = TypeVar("ResultT")


class Pool:
    """A bounded pool that belongs to one event loop."""

    def __init__(self, workers: int = WORKERS, queue_max: int = QUEUE_MAX) -> None:
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="iamata-http")
        self._tasks_max = workers + queue_max
        self.tasks = 0
        """What runs or waits now."""

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Run some work in a thread, or refuse where too much is waiting."""
        require(self.tasks < self._tasks_max, Reason.TOO_BUSY)
        self.tasks += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self.tasks -= 1

    def close(self) -> None:
        """Finish what runs."""
        self._threads.shutdown()
