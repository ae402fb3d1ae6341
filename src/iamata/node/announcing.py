"""An engine that says at once when something became final here: who waits need not look often."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future

from iamata.engines.comet.engine import CometEngine
from iamata.engines.follower.engine import FollowerEngine
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.leaves import Leaf
from iamata.model.reasons import Refused
from iamata.ports import Finality, KeptLedger, LedgerView


class AnnouncingEngine:
    """The engine of a home, and who wants to hear of its news."""

    def __init__(self, engine: KeptLedger) -> None:
        self._engine = engine
        self.genesis = engine.genesis
        self.network = engine.network
        self._hear: Callable[[], None] | None = None

    def listen(self, hear: Callable[[], None]) -> None:
        """Call this when something became final, on the thread that writes blocks: so it must be quick."""
        self._hear = hear

    @property
    def is_halted(self) -> bool:
        """Tell whether the ledger met what it cannot go on after: only a new process may go on."""
        return isinstance(self._engine, CometEngine) and self._engine.is_halted

    @property
    def trouble(self) -> Refused | None:
        """Say why the ledger does not grow, None where it does, or where the engine cannot tell."""
        return self._engine.trouble if isinstance(self._engine, FollowerEngine | CometEngine) else None

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a signed transaction in."""
        future = self._engine.submit(raw)
        if self._hear is not None:
            future.add_done_callback(self._announce)
        return future

    def snapshot(self) -> LedgerView:
        """Return the newest final state."""
        return self._engine.snapshot()

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor."""
        return self._engine.events(after)

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read every final block in order."""
        return self._engine.read_blocks(first_height=first_height)

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        self._engine.close()

    def _announce(self, _: "Future[Finality]") -> None:
        if self._hear is not None:
            self._hear()
