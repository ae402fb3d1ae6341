"""A network whose blocks validators order, for tests: one application, and a played CometBFT before it."""

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.broadcasting import Broadcast
from iamata.engines.comet.engine import CometEngine
from iamata.ledger.entries import MemberKind, Validator
from iamata.ledger.genesis import Genesis, Predecessor, compute_network_id
from iamata.ledger.succession import agree
from iamata.ledger.transactions.access import AnchorReads
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.ids import DIGEST_BYTES, MemberId, encode_digest
from iamata.model.instants import Instant
from iamata.testing.clock import FIRST_MS, FakeClock
from iamata.testing.comet import PlayedComet
from iamata.workflows.author import Author
from iamata.workflows.founding import draw_founder, write_genesis


class ValidatorTown:
    """Two members of which the first is a validator, and what was opened on their ledger."""

    def __init__(self, folder: Path, *, now_ms: int = FIRST_MS) -> None:
        self.clock = FakeClock(now_ms)
        self.broadcast: Broadcast | None = None
        """How bundles leave the application for another CometBFT than the played one."""
        founders = [
            draw_founder(MemberId(name), name, MemberKind.HOSPITAL, os.urandom)
            for name in ("hospital-a", "hospital-b")
        ]
        self.validator_seed = os.urandom(DIGEST_BYTES)
        self.validator = SigningKey.from_seed(self.validator_seed)
        self.nodes = [SigningKey.from_seed(one.signing_seed) for one in founders]
        genesis = write_genesis(
            "town",
            founders,
            orderer_seed=os.urandom(DIGEST_BYTES),
            created_ms=self.clock(),
            entropy=os.urandom,
        )
        order = Validator(member=founders[0].member, key=self.validator.key_id, power=1)
        self.genesis = msgspec.structs.replace(genesis, orderer=msgspec.UNSET, validators=(order,))
        self.clock.advance(10)
        self.folder = folder
        self.name = "ledger"
        """Of the folder in which its first application's ledger lies."""
        self._opened: list[CometEngine] = []
        self._played: list[PlayedComet] = []
        self.engine = self.open(self.name)
        self.comet = self.play(self.name)

    def open(self, name: str, **options: Any) -> CometEngine:  # noqa: ANN401  the engine's own
        """Start an application on a folder, which nothing is connected to yet."""
        (self.folder / name).mkdir(exist_ok=True)
        engine = CometEngine(
            self.folder / name,
            self.genesis,
            address=f"unix://{self._find_socket(name)}",
            broadcast=self._send,
            clock=self.clock,
            **options,
        )
        self._opened.append(engine)
        return engine

    def play(self, name: str) -> PlayedComet:
        """Play a CometBFT for an application; it is not connected yet."""
        comet = PlayedComet(self._find_socket(name), self.genesis, clock=self.clock)
        self._played.append(comet)
        return comet

    def restart(self, **options: Any) -> CometEngine:  # noqa: ANN401  the engine's own
        """End the application and start it again; CometBFT's blocks stay."""
        self.comet.hang_up()
        self.engine.close()
        self.engine = self.open(self.name, **options)
        return self.engine

    def go_on(self) -> None:
        """Let the network go on under another genesis, in another folder, with a fresh consensus key."""
        self.comet.hang_up()
        self.engine.close()
        shutil.copytree(self.folder / self.name, self.folder / "next")
        view = self.engine.snapshot()
        (order,) = self.genesis.validators
        self.validator_seed = os.urandom(DIGEST_BYTES)
        self.validator = SigningKey.from_seed(self.validator_seed)
        drafted = Genesis(
            name=self.genesis.name,
            created_ms=Instant(view.time_ms + 1),
            rules=self.genesis.rules,
            validators=(msgspec.structs.replace(order, key=self.validator.key_id),),
            continues=Predecessor(
                network=compute_network_id(self.genesis), height=view.height, app_hash=view.app_hash
            ),
        )
        agreements = tuple(agree(drafted, key) for key in self.nodes)
        self.genesis = msgspec.structs.replace(drafted, agreements=agreements)
        self.name = "next"
        self.engine, self.comet = self.open(self.name), self.play(self.name)

    def close(self) -> None:
        """Close everything."""
        for comet in self._played:
            comet.hang_up()
        for engine in self._opened:
            engine.close()

    def speak(self, member: int = 0) -> Author:
        """Return a member's node as an author."""
        return Author(self.engine, self.nodes[member], self.clock, os.urandom)

    def write_anchors(self, count: int, *, member: int = 0) -> list[bytes]:
        """Sign transactions that the ledger will accept."""
        author = self.speak(member)
        return [
            author.write(
                AnchorReads, anchor=author.make_id(), root=encode_digest(os.urandom(DIGEST_BYTES)), count=1
            )
            for _ in range(count)
        ]

    def write_refused(self, count: int) -> list[bytes]:
        """Sign transactions that a block takes in and the rules refuse."""
        author = self.speak()
        return [author.write(WithdrawConsent, consent=author.make_id()) for _ in range(count)]

    def _send(self, bundle: bytes) -> None:
        (self.broadcast or self.comet.broadcast)(bundle)

    def _find_socket(self, name: str) -> Path:
        return self.folder / f"{name}.sock"
