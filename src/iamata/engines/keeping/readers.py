"""Reading connections, lent to one reader at a time and closed at the end."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from iamata.engines.keeping.storage import LedgerFile
from iamata.model.reasons import Reason, require


class ReaderPool:
    """As many connections as there were readers at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: list[LedgerFile] = []
        self._is_open = True
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def borrow(self) -> Iterator[LedgerFile]:
        """Lend a connection for one read."""
        with self._guard:
            require(self._is_open, Reason.ENGINE_STOPPED)
            file = self._idle.pop() if self._idle else None
        file = file or LedgerFile(self._folder, is_writer=False)
        try:
            yield file
        finally:
            self._give_back(file)

    def close(self) -> None:
        """Close what is idle now, and the rest as it comes back."""
        with self._guard:
            self._is_open = False
            idle, self._idle = self._idle, []
        for file in idle:
            file.close()

    def _give_back(self, file: LedgerFile) -> None:
        with self._guard:
            if self._is_open:
                self._idle.append(file)
                return
        file.close()
