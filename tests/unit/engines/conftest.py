"""A small network for the engine's tests: one hospital, keys of its own, a fresh folder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.engine import EmbeddedEngine, read_clock_ms
from iamata.ledger.entries import MemberKind
from iamata.ledger.transactions.access import AnchorReads
from iamata.model.ids import MemberId, encode_digest
from iamata.workflows.author import Author
from iamata.workflows.founding import draw_founder, write_genesis


class Town:
    """A founded network and the engines that were opened on it."""

    def __init__(self, folder: Path) -> None:
        founder = draw_founder(MemberId("hospital-a"), "A", MemberKind.HOSPITAL, os.urandom)
        seed = os.urandom(32)
        self.folder = folder
        self.orderer = SigningKey.from_seed(seed)
        self.node = SigningKey.from_seed(founder.signing_seed)
        self.genesis = write_genesis(
            "town", [founder], orderer_seed=seed, created_ms=read_clock_ms(), entropy=os.urandom
        )
        self.opened: list[EmbeddedEngine] = []

    def open(self, clock: Callable[[], int] = read_clock_ms) -> EmbeddedEngine:
        """Start an engine on the town's folder."""
        engine = EmbeddedEngine(self.folder, self.genesis, orderer=self.orderer, clock=clock)
        self.opened.append(engine)
        return engine

    def write_anchors(self, engine: EmbeddedEngine, count: int) -> list[bytes]:
        """Sign transactions that the ledger will accept."""
        author = Author(engine, self.node, read_clock_ms, os.urandom)
        return [
            author.write(AnchorReads, anchor=author.make_id(), root=encode_digest(os.urandom(32)), count=1)
            for _ in range(count)
        ]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Found a town, and close what it opened."""
    town = Town(tmp_path)
    yield town
    for engine in town.opened:
        engine.close()
