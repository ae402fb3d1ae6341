"""The ledger's heights: held still for who wants several proofs at one, awaited by who polls."""

import asyncio
import contextlib
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from iamata.api.limits import KEY_POLLS_MAX, POLL_S, POLLS_MAX, VIEW_S_MAX, VIEWS_MAX
from iamata.api.pool import Pool
from iamata.model.ids import KeyId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Engine, LedgerView


class HeldViews:
    """Views by height, for a short while: whoever holds one makes the ledger remember."""

    def __init__(self, engine: Engine, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock_s = clock_s
        self._held: OrderedDict[int, tuple[LedgerView, float]] = OrderedDict()
        self._guard = threading.Lock()

    def hold(self) -> LedgerView:
        """Return the newest view, and hold it for whoever was told its height."""
        view = self._engine.snapshot()
        with self._guard:
            self._held.pop(view.height, None)
            self._held[view.height] = (view, self._clock_s())
            if len(self._held) > VIEWS_MAX:
                self._held.popitem(last=False)
        return view

    def get(self, height: int | None) -> LedgerView:
        """Return the newest view, or the one that is held at a height, or refuse."""
        if height is None:
            return self._engine.snapshot()
        with self._guard:
            held = self._held.get(height)
        if held is None:
            raise Refused(Reason.EXPIRED, "this height is not held any more")
        return held[0]

    def sweep(self) -> None:
        """Let go of what is held for too long."""
        oldest_s = self._clock_s() - VIEW_S_MAX
        with self._guard:
            while self._held and next(iter(self._held.values()))[1] < oldest_s:
                self._held.popitem(last=False)


class LedgerWatch:
    """Lets long polls wait for news. One look serves all who wait; a stopping node lets them go."""

    def __init__(self, engine: Engine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool
        self._closing = asyncio.Event()
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look: asyncio.Task[LedgerView] | None = None
        self._by_key: Counter[KeyId] = Counter()
        self.polls = 0
        """How many wait now."""

    async def wait(self, has_news: Callable[[LedgerView], bool], *, key: KeyId, wait_s: float) -> None:
        """Return when the ledger has news, the time is up or the node stops; nobody takes every place."""
        loop = self._loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        with self.taking_place(key=key, wait_s=wait_s) as is_waiting:
            while is_waiting():
                news = self._news  # of now: what comes while we look must not be missed
                if has_news(await self.look()):
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), timeout=min(POLL_S, max(0, until_s - loop.time())))

    @contextlib.contextmanager
    def taking_place(self, *, key: KeyId, wait_s: float) -> Iterator[Callable[[], bool]]:
        """Take a place among those who wait, or refuse; tells whether it is still worth waiting."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        require(self.polls < POLLS_MAX or wait_s == 0, Reason.TOO_BUSY, "too many long polls")
        is_modest = self._by_key[key] < KEY_POLLS_MAX or wait_s == 0
        require(is_modest, Reason.TOO_MANY_REQUESTS, "too many long polls of one key")
        self.polls += 1
        self._by_key[key] += 1
        try:
            yield lambda: loop.time() < until_s and not self._closing.is_set()
        finally:
            self.polls -= 1
            self._by_key -= Counter((key,))  # a counter keeps no zeros

    async def look(self) -> LedgerView:
        """Return the newest view; who asks while another looks is served by that look."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._pool.run(self._engine.snapshot))
        return await asyncio.shield(self._look)

    def hear(self) -> None:
        """Let those who wait look at once; from any thread."""
        loop = self._loop
        if loop is not None and self.polls:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Let everybody go who waits."""
        self._closing.set()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
