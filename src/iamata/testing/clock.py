"""A clock that stands still until a test moves it."""

import dataclasses
from typing import Final

from iamata.model.instants import MS_PER_DAY

FIRST_DAY: Final = 20_000
"""2024-10-04: where every world begins, at midnight UTC."""
FIRST_MS: Final = FIRST_DAY * MS_PER_DAY


@dataclasses.dataclass(slots=True)
class FakeClock:
    """Tell the same time until told to move on."""

    now_ms: int = FIRST_MS

    def __call__(self) -> int:
        """Tell the time in milliseconds since 1970."""
        return self.now_ms

    def advance(self, duration_ms: int) -> None:
        """Let time pass."""
        self.now_ms += duration_ms
