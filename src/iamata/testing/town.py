"""A little town: one hospital whose ledger lies in a folder, for tests of the engine that keeps it."""

import os
from collections.abc import Callable
from pathlib import Path

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.engine import EmbeddedEngine, read_clock_ms
from iamata.ledger.entries import MemberKind
from iamata.ledger.transactions.access import AnchorReads
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.ids import DIGEST_BYTES, MemberId, encode_digest
from iamata.ports import Engine
from iamata.workflows.author import Author
from iamata.workflows.founding import draw_founder, write_genesis


class Town:
    """A founded network with fresh keys, and the engines that were opened on it."""

    def __init__(self, folder: Path) -> None:
        founder = draw_founder(MemberId("hospital-a"), "A", MemberKind.HOSPITAL, os.urandom)
        seed = os.urandom(DIGEST_BYTES)
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

    def close(self) -> None:
        """Close every engine that was opened."""
        for engine in self.opened:
            engine.close()

    def write_anchors(self, engine: Engine, count: int) -> list[bytes]:
        """Sign transactions that the ledger will accept."""
        author = self._speak(engine)
        return [
            author.write(
                AnchorReads, anchor=author.make_id(), root=encode_digest(os.urandom(DIGEST_BYTES)), count=1
            )
            for _ in range(count)
        ]

    def write_refused(self, engine: Engine, count: int) -> list[bytes]:
        """Sign transactions that a block takes in and the rules refuse."""
        author = self._speak(engine)
        return [author.write(WithdrawConsent, consent=author.make_id()) for _ in range(count)]

    def _speak(self, engine: Engine) -> Author:
        return Author(engine, self.node, read_clock_ms, os.urandom)
