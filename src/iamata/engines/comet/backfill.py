"""Fetch what validators signed for the blocks of a snapshot, and keep it, before the snapshot is believed.

A snapshot's app hash says nothing of when its blocks were made, or of empty ones. Their headers do. Whoever
shows them is believed nothing: one header follows by votes from what this home trusts, and each one before
it is named, by its hash, in the one after it.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from iamata.engines.keeping.beginning import Beginning
from iamata.engines.keeping.commits import CommitFile
from iamata.ledger.genesis import Genesis
from iamata.ledger.light.blocks import LightBlock
from iamata.ledger.light.holding import check_before, check_block, check_result
from iamata.ledger.light.verifying import (
    Trust,
    check_clock,
    check_light_block,
    is_within_reach,
    trust_genesis,
    trust_light_block,
)
from iamata.model.reasons import Reason, require

HEADERS_MAX: Final = 1_000_000
"""Blocks of the replay window, and those since the trusted header: more is not fetched."""


class LightSource(Protocol):
    """Who shows light blocks, none of which is checked."""

    def read_light_block(self, height: int) -> LightBlock:
        """Return the light block of a height, or refuse where there is none."""
        ...


class Backfill:
    """Knows whom to ask, and what this home trusts."""

    def __init__(
        self,
        folder: Path,
        genesis: Genesis,
        trusted: LightBlock,
        source: LightSource,
        *,
        clock: Callable[[], int],
    ) -> None:
        """Believe the trusted light block: it was checked when it was taken in."""
        self._folder = folder
        self._genesis = genesis
        self._trusted = trusted
        self._source = source
        self._clock = clock

    def __call__(self, beginning: Beginning) -> None:
        """Hold the blocks of a beginning against their headers, and keep these; or refuse it."""
        blocks = {block.height: block for block in beginning.blocks}
        first, last = min(blocks), max(blocks)
        with contextlib.closing(CommitFile(self._folder, is_writer=True)) as file:
            following, trust = self._reach(last + 1, file)
            count = following.header.height - first
            require(count <= HEADERS_MAX, Reason.TOO_LARGE, f"{count} headers to fetch")
            for height in range(following.header.height - 1, first - 1, -1):
                light = self._source.read_light_block(height)
                check_before(light, following, trust)
                if height in blocks:
                    check_block(blocks[height], light.header)
                    check_result(blocks[height], following, self._genesis)
                file.add(light)
                following = light

    def _reach(self, height: int, file: CommitFile) -> tuple[LightBlock, Trust]:
        """Return what this home trusts, or a later light block that follows from it, of this height."""
        trust = trust_light_block(self._trusted, trust_genesis(self._genesis))
        light = self._trusted
        wanted = [height] if height > trust.height else []
        while wanted:  # as the light client bisects: what is too far is reached over what lies between
            light = self._source.read_light_block(wanted[-1])
            is_asked = light.header.height == wanted[-1]
            require(is_asked, Reason.FAULT_FOUND, f"shown another header than that of height {wanted[-1]}")
            check_clock(light, now_ms=self._clock())
            if is_within_reach(light, trust):
                trust = check_light_block(light, trust)
                file.add(light)
                wanted.pop()
            else:
                wanted.append((trust.height + wanted[-1]) // 2)
        return light, trust
