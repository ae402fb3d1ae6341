"""CometBFT's side of the socket, played in Python: four connections, one validator, blocks on demand.

It asks in the order in which CometBFT asks, keeps a mempool and a store of blocks, and can die at any step.
"""

import dataclasses
import hashlib
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.framing import FrameReader, write_frame
from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.protocol import keys_pb2
from iamata.engines.comet.times import write_time
from iamata.ledger.genesis import Genesis, compute_network_id, get_first_height
from iamata.ledger.light.blocks import order_validators
from iamata.ledger.light.verifying import trust_genesis
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, decode_digest
from iamata.model.reasons import ACCEPTED, Reason, Refused, require
from iamata.testing.lights import make_light

BLOCK_BYTES_MAX: Final = 2 * 1024 * 1024
TIMEOUT_S: Final = 20
ROLES: Final = ("query", "snapshot", "mempool", "consensus")
STEPS: Final = ("prepare", "process", "finalize", "commit", "recheck")
"""Where CometBFT can be killed: before each of them."""

_READ_BYTES: Final = 65_536


class CometDiedError(Exception):
    """The played CometBFT was killed where a test wanted it, or cut off, or found a fault and halts."""


@dataclasses.dataclass(frozen=True, slots=True)
class PlayedBlock:
    """A block as the store of blocks keeps it."""

    height: int
    time_ms: int
    bundles: tuple[bytes, ...]
    evidence: tuple[abci.Misbehavior, ...] = ()

    @property
    def hash(self) -> bytes:
        """Name the block."""
        return hashlib.sha256(repr(self).encode()).digest()


class AbciConnection:
    """One connection: questions are sent at once or together, answers come in their order."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._frames = FrameReader()
        self._answers: list[bytes] = []

    def ask(self, **question: Any) -> Any:  # noqa: ANN401  the question's name decides the answer's type
        """Ask one question and flush; return its answer."""
        return self.ask_all([question])[0]

    def ask_all(self, questions: Sequence[dict[str, Any]]) -> list[Any]:
        """Ask many questions without waiting, flush once, and return the answers."""
        asked = [*questions, {"flush": abci.RequestFlush()}]
        self.send(b"".join(spell(**question) for question in asked))
        answers = [self._receive_answer(next(iter(question))) for question in asked]
        return answers[:-1]

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise CometDiedError(str(error)) from error

    def receive(self) -> abci.Response:
        """Return the next answer."""
        while not self._answers:
            try:
                data = self._socket.recv(_READ_BYTES)
            except OSError as error:
                raise CometDiedError(str(error)) from error
            if not data:
                message = "the application cut CometBFT off"
                raise CometDiedError(message)
            self._answers += self._frames.feed(data)
        return abci.Response.FromString(self._answers.pop(0))

    def _receive_answer(self, name: str) -> Any:  # noqa: ANN401  the name decides its type
        answer = self.receive()
        if answer.HasField("exception"):
            raise CometDiedError(answer.exception.error)
        _expect(answer.WhichOneof("value") == name, "an answer to another question")
        return getattr(answer, name)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class PlayedComet:
    """One validator's CometBFT. Its blocks outlive it, as the real one's do; its mempool does not."""

    def __init__(self, path: Path, genesis: Genesis, *, clock: Callable[[], int]) -> None:
        self.genesis = genesis
        self.first_height = get_first_height(genesis)
        self.blocks: list[PlayedBlock] = []
        self.app_hashes: list[bytes] = []
        self.updates: list[abci.ValidatorUpdate] = []
        self.mempool: list[bytes] = []
        self.dies_before: str | None = None
        self._path = path
        self._clock = clock
        self._guard = threading.RLock()
        self._connections: dict[str, AbciConnection] = {}

    def connect(self, *, is_syncing: bool = False) -> None:
        """Open the connections, compare where both sides stand, and say what the application lacks.

        Whoever is to begin with a snapshot is told nothing of the genesis.
        """
        with self._guard:  # who waits to broadcast would speak in between
            self.hang_up()
            self._connections = {role: AbciConnection(self._path) for role in ROLES}
            self._shake_hands(is_syncing=is_syncing)

    def _shake_hands(self, *, is_syncing: bool) -> None:
        for role in ROLES:
            self[role].ask(echo=abci.RequestEcho(message=role))
        info = self["query"].ask(info=abci.RequestInfo(version="0.38.25", abci_version="2.0.0"))
        known = max(0, info.last_block_height - self.first_height + 1)
        _expect(known <= len(self.blocks), f"the application is ahead: block {info.last_block_height}")
        if info.last_block_height == 0 and not is_syncing:
            self.init_chain()
        for block in self.blocks[known:]:
            self._finalize(block)
            self["consensus"].ask(commit=abci.RequestCommit())
        if self.app_hashes:
            info = self["query"].ask(info=abci.RequestInfo())
            _expect(info.last_block_app_hash == self.app_hashes[-1], "another app hash than before")

    def __getitem__(self, role: str) -> AbciConnection:
        return self._connections[role]

    def hang_up(self) -> None:
        """Close the connections, and lose the mempool; a block that is being made is made first."""
        with self._guard:
            for connection in self._connections.values():
                connection.close()
            self._connections = {}
            self.mempool.clear()

    def init_chain(self, **changes: Any) -> abci.ResponseInitChain:  # noqa: ANN401  fields of the request
        """Tell the application what CometBFT's genesis says."""
        fields: dict[str, Any] = {
            "chain_id": compute_network_id(self.genesis),
            "time": write_time(self.genesis.created_ms + 1),
            "initial_height": self.first_height,
            "validators": [
                abci.ValidatorUpdate(
                    pub_key=keys_pb2.PublicKey(ed25519=decode_digest(one.key)), power=one.power
                )
                for one in self.genesis.validators
            ],
        }
        answer: abci.ResponseInitChain = self["consensus"].ask(
            init_chain=abci.RequestInitChain(**{**fields, **changes})
        )
        return answer

    def check(self, bundle: bytes, *, is_recheck: bool = False) -> int:
        """Ask whether a bundle may wait; 0 or the number of a reason."""
        kind = abci.RECHECK if is_recheck else abci.NEW
        code: int = self["mempool"].ask(check_tx=abci.RequestCheckTx(tx=bundle, type=kind)).code
        return code

    def broadcast(self, bundle: bytes) -> None:
        """Take a bundle in as CometBFT's RPC does; where nobody is connected, nobody answers."""
        with self._guard:
            require(bool(self._connections), Reason.NODE_UNREACHABLE, "the played CometBFT is away")
            try:
                if bundle not in self.mempool and self.check(bundle) == ACCEPTED:
                    self.mempool.append(bundle)
            except CometDiedError as died:
                raise Refused(Reason.NODE_UNREACHABLE, str(died)) from died

    def make_block(self, *, rounds: int = 1, evidence: Sequence[abci.Misbehavior] = ()) -> PlayedBlock:
        """Propose what waits, in as many rounds as it takes, and make it final and durable."""
        with self._guard:
            block = self.propose(evidence=evidence)
            for _ in range(rounds - 1):  # the others did not vote: a later round proposes anew
                block = self.propose(evidence=evidence)
            _expect(self.process(block), "its own proposal was rejected")
            self._die_before("finalize")
            self.blocks.append(block)
            self._finalize(block)
            self._die_before("commit")
            self["consensus"].ask(commit=abci.RequestCommit())
            self._die_before("recheck")
            self._recheck(block)
            return block

    def propose(self, *, evidence: Sequence[abci.Misbehavior] = ()) -> PlayedBlock:
        """Let the application make a block of what waits."""
        self._die_before("prepare")
        height, time_ms = self.first_height + len(self.blocks), self._choose_time()
        answer = self["consensus"].ask(
            prepare_proposal=abci.RequestPrepareProposal(
                max_tx_bytes=BLOCK_BYTES_MAX,
                txs=self.mempool,
                misbehavior=evidence,
                height=height,
                time=write_time(time_ms),
            )
        )
        return PlayedBlock(height, time_ms, tuple(answer.txs), tuple(evidence))

    def process(self, block: PlayedBlock) -> bool:
        """Ask what the application thinks of a proposal."""
        self._die_before("process")
        answer = self["consensus"].ask(
            process_proposal=abci.RequestProcessProposal(
                txs=block.bundles,
                misbehavior=block.evidence,
                hash=block.hash,
                height=block.height,
                time=write_time(block.time_ms),
            )
        )
        is_accepted: bool = answer.status == abci.ResponseProcessProposal.ACCEPT
        return is_accepted

    def finalize(self, block: PlayedBlock) -> abci.ResponseFinalizeBlock:
        """Tell the application that a block is final."""
        answer: abci.ResponseFinalizeBlock = self["consensus"].ask(
            finalize_block=abci.RequestFinalizeBlock(
                txs=block.bundles,
                misbehavior=block.evidence,
                hash=block.hash,
                height=block.height,
                time=write_time(block.time_ms),
            )
        )
        _expect(len(answer.tx_results) == len(block.bundles), "a result for each bundle, and no other")
        return answer

    def _finalize(self, block: PlayedBlock) -> None:
        answer = self.finalize(block)
        place = block.height - self.first_height
        if len(self.app_hashes) <= place:
            self.app_hashes.append(answer.app_hash)
            self.updates += answer.validator_updates
        is_same = answer.app_hash == self.app_hashes[place]
        _expect(is_same, "the same block came to another app hash")

    def _recheck(self, block: PlayedBlock) -> None:
        waiting = [bundle for bundle in self.mempool if bundle not in block.bundles]
        questions = [{"check_tx": abci.RequestCheckTx(tx=one, type=abci.RECHECK)} for one in waiting]
        answers = self["mempool"].ask_all(questions)
        self.mempool = [
            bundle for bundle, answer in zip(waiting, answers, strict=True) if answer.code == ACCEPTED
        ]

    def _choose_time(self) -> int:
        """Choose the next block's time: that of the votes on the one before, or a little later."""
        earliest = self.blocks[-1].time_ms + 1 if self.blocks else self.genesis.created_ms + 1
        return max(earliest, self._clock())

    def _die_before(self, step: str) -> None:
        if self.dies_before == step:
            self.dies_before = None
            self.hang_up()
            message = f"killed before {step}"
            raise CometDiedError(message)


class RunningComet:
    """A played CometBFT that makes a block as soon as something waits."""

    def __init__(self, comet: PlayedComet) -> None:
        self._comet = comet
        self._closing = threading.Event()
        self._waiting = threading.Event()
        self._thread = threading.Thread(target=self._run, name="played-comet", daemon=True)

    def start(self) -> None:
        """Connect and run until closed."""
        self._comet.connect()
        self._thread.start()

    def broadcast(self, bundle: bytes) -> None:
        """Take a bundle in."""
        self._comet.broadcast(bundle)
        self._waiting.set()

    def close(self) -> None:
        """Stop, and hang up."""
        self._closing.set()
        self._waiting.set()
        if self._thread.is_alive():
            self._thread.join()
        self._comet.hang_up()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._waiting.wait()
            self._waiting.clear()
            while self._comet.mempool and not self._closing.is_set():
                self._comet.make_block()


def _expect(condition: bool, what: str) -> None:  # noqa: FBT001  reads as a sentence
    if not condition:
        raise CometDiedError(what)


class PlayedWitness:
    """Signs, with the validators' own keys, that a block came to what the application says."""

    def __init__(self, genesis: Genesis, keys: Sequence[SigningKey]) -> None:
        self._trust = trust_genesis(genesis)
        self._validators = order_validators(genesis.validators)
        by_id = {key.key_id: key for key in keys}
        self._keys = [by_id.get(one.key) for one in self._validators]

    def notice(self, height: int) -> None:
        """Hear of a block, and do nothing yet."""

    def has_vouched(self, height: int, app_hash: Digest) -> bool:  # noqa: ARG002  as every witness is asked
        """Tell that it has: it vouches at once."""
        return True

    def vouch(self, height: int, app_hash: Digest) -> tuple[bytes, Sequence[bytes]]:
        """Sign the header of the next block."""
        light = make_light(self._trust, self._validators, self._keys, height=height + 1, app_hash=app_hash)
        return encode_struct(light), ()

    def close(self) -> None:
        """Do nothing: there is nobody to ask."""


def spell(**question: Any) -> bytes:  # noqa: ANN401  the question's name decides its type
    """Spell a question as a frame: `spell(echo=RequestEcho(message="a"))`."""
    return write_frame(abci.Request(**question).SerializeToString())
