"""A network of real nodes with real CometBFT, each process of which a test can kill and start again."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

import msgspec

from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.engines.comet.files import TIMEOUT_COMMIT_MS, spell_node_key, spell_peer
from iamata.engines.comet.rpc import CometRpc, SyncInfo
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import MemberKind
from iamata.ledger.transactions.access import AnchorReads
from iamata.model.ids import DIGEST_BYTES, KeyId, MemberId, encode_digest
from iamata.model.reasons import Refused
from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, NODE_KEY_FILE, SETTINGS_FILE, draw_ports
from iamata.node.configuration import Comet, read_configuration, write_configuration
from iamata.node.guarding import Guard
from iamata.node.home import MEMBERS_FOLDER, SIGNING_KEY, load_genesis
from iamata.node.keyfiles import read_key
from iamata.node.running import find_node, make_group, spell_url
from iamata.node.supervising import STOP_S, Program, spawn
from iamata.node.validators import create_validator_homes
from iamata.ports import Finality
from iamata.stores.sqlite.home import KEYS_FOLDER
from iamata.workflows.author import Author

MEMBERS: Final = ("hospital-a", "hospital-b", "hospital-c", "hospital-d")
NODE: Final = "node"
COMET: Final = "cometbft"
PARTS: Final = (NODE, COMET)
PATIENCE_S: Final = 120.0
LOOK_S: Final = 0.1


class RunningNetwork:
    """Homes in a folder, and their processes."""

    def __init__(
        self,
        folder: Path,
        *,
        first_port: int,
        members: Sequence[str] = MEMBERS,
        timeout_commit_ms: int = TIMEOUT_COMMIT_MS,
    ) -> None:
        self.folder = folder
        founders = [(MemberId(one), one.title(), MemberKind.HOSPITAL) for one in members]
        create_validator_homes(
            folder, "Validators", founders, first_port=first_port, timeout_commit_ms=timeout_commit_ms
        )
        self.place: Callable[[str, Program], Program] = lambda _, program: program
        """How a member's program is started, where a test wants it otherwise."""
        self._processes: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._guard: Guard | None = None
        """Ends the processes of a test that was killed."""

    def get_home(self, member: str) -> Path:
        """Say where a member's home lies."""
        return self.folder / member

    def start(self, members: Sequence[str] = MEMBERS, parts: Sequence[str] = PARTS) -> None:
        """Start what does not run."""
        self._note_ends()
        self._guard = self._guard or Guard(stop_s=STOP_S)
        for member in members:
            for program in make_group(self.get_home(member)).programs:
                process = self._processes.get((member, program.name))
                is_wanted = program.name in parts and (process is None or process.poll() is not None)
                if is_wanted:
                    program.log.parent.mkdir(exist_ok=True)
                    with program.log.open("ab") as log:
                        process = spawn(self.place(member, program), log)
                    self._processes[member, program.name] = process
                    self._guard.keep(process.pid)

    def kill(self, members: Sequence[str] = MEMBERS, parts: Sequence[str] = PARTS) -> None:
        """Kill without a warning."""
        chosen = [
            process
            for (member, part), process in self._processes.items()
            if member in members and part in parts
        ]
        for process in chosen:
            process.kill()
        for process in chosen:
            process.wait()
        self._note_ends()

    def stop(self) -> None:
        """Stop everything in good order; a CometBFT that does not is killed, as its supervisor would."""
        for process in self._processes.values():
            process.terminate()
        for (_, part), process in self._processes.items():
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                if part == NODE:
                    raise
            finally:
                process.kill()
                process.wait()
        self._note_ends()

    def _note_ends(self) -> None:
        """Tell the guard what has ended; where nothing is left it goes home."""
        ended = {key: one for key, one in self._processes.items() if one.poll() is not None}
        for key, process in ended.items():
            del self._processes[key]
            if self._guard is not None:
                self._guard.let_go(process.pid)
        if not self._processes and self._guard is not None:
            self._guard.close()
            self._guard = None

    def get_pid(self, member: str, part: str) -> int:
        """Say which process one of a member's programs is."""
        return self._processes[member, part].pid

    def read_height(self, member: str) -> int:
        """Tell how far a node's ledger goes, -1 while it does not answer."""
        info = find_node(self.get_home(member))
        return -1 if info is None else info.height

    def read_comet_height(self, member: str) -> int:
        """Tell how far a CometBFT's blocks go, -1 while it does not answer."""
        info = self._read_sync(member)
        return -1 if info is None else int(info.latest_block_height)

    def await_votes(self, member: str) -> None:
        """Wait until a validator that was away votes again: while it fetches blocks it does not."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (info := self._read_sync(member)) is None or info.catching_up:
            if time.monotonic() > deadline_s:
                message = f"{member} never votes again"
                raise TimeoutError(message)
            time.sleep(LOOK_S)

    def _read_sync(self, member: str) -> SyncInfo | None:
        engine = read_configuration(self.get_home(member)).engine
        assert isinstance(engine, Comet)  # noqa: S101  as it was founded
        rpc = CometRpc(engine.rpc, timeout_s=5)
        try:
            return rpc.read_status().sync_info
        except Refused:
            return None
        finally:
            rpc.close()

    def await_height(self, height: int, members: Sequence[str] = MEMBERS) -> None:
        """Wait until these nodes have a block."""
        deadline_s = time.monotonic() + PATIENCE_S
        while any(self.read_height(one) < height for one in members):
            if time.monotonic() > deadline_s:
                heights = {one: self.read_height(one) for one in members}
                message = f"height {height} was never reached: {heights}"
                raise TimeoutError(message)
            time.sleep(LOOK_S)

    def await_comet(self, members: Sequence[str] = MEMBERS) -> None:
        """Wait until these CometBFT answer: nodes may answer before."""
        deadline_s = time.monotonic() + PATIENCE_S
        while any(self.read_comet_height(one) < 0 for one in members):
            if time.monotonic() > deadline_s:
                message = "CometBFT never answered"
                raise TimeoutError(message)
            time.sleep(LOOK_S)

    def connect(self, member: str) -> "Load":
        """Speak to a node with its own member's key."""
        return Load(self.get_home(member), member)


class Load:
    """Writes transactions at one node, as its member."""

    def __init__(self, home: Path, member: str) -> None:
        key = SigningKey.from_seed(read_key(home / MEMBERS_FOLDER / member / KEYS_FOLDER / SIGNING_KEY))
        connection = Connection(spell_url(read_configuration(home)), key=key)
        self.engine = RemoteEngine(connection, load_genesis(home), pinned=None, keep=lambda _: None)
        self._author = Author(self.engine, key, read_clock_ms, os.urandom)

    def write(self) -> bytes:
        """Sign a transaction that the ledger will accept."""
        root = encode_digest(os.urandom(DIGEST_BYTES))
        return self._author.write(AnchorReads, anchor=self._author.make_id(), root=root, count=1)

    def submit(self) -> "Future[Finality]":
        """Hand one in."""
        return self.engine.submit(self.write())

    def close(self) -> None:
        """Let go."""
        self.engine.close()


@contextlib.contextmanager
def start_twin(network: RunningNetwork, member: str) -> Iterator[None]:
    """Run a second copy of a home, as nobody may: one key is then in two places.

    The network is down when this begins. The others are told of the second machine, as of a standby
    that its member announced; without that they would not let it in, and nothing would be seen.
    """
    home, twin = network.get_home(member), network.folder.parent / "twin"
    shutil.copytree(home, twin, ignore=shutil.ignore_patterns("*.sock", "logs"))
    configuration = read_configuration(twin)
    p2p, rpc, port = (f"{configuration.host}:{one}" for one in draw_ports(3, host=configuration.host))
    engine = configuration.engine
    assert isinstance(engine, Comet)  # noqa: S101  as it was founded
    settings = twin / COMET_FOLDER / CONFIG_FOLDER / SETTINGS_FILE
    text = settings.read_text().replace(engine.p2p, p2p).replace(engine.rpc, rpc)
    settings.write_text(text)
    seed = os.urandom(SEED_BYTES)
    node_key = SigningKey.from_seed(seed)
    (settings.parent / NODE_KEY_FILE).write_bytes(spell_node_key(node_key, seed))
    for other in set(MEMBERS) - {member}:
        _let_in(network.get_home(other), node_key.key_id)
    fresh = Comet(rpc=rpc, p2p=p2p)
    write_configuration(
        twin, msgspec.structs.replace(configuration, engine=fresh, port=int(port.rpartition(":")[2]))
    )
    processes = []
    for program in make_group(twin).programs:
        program.log.parent.mkdir(exist_ok=True)
        with program.log.open("ab") as log:
            processes.append(spawn(program, log))
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _let_in(home: Path, node: KeyId) -> None:
    settings = home / COMET_FOLDER / CONFIG_FOLDER / SETTINGS_FILE
    text, name = settings.read_text(), "unconditional_peer_ids"
    (named,) = re.findall(f'^{name} = "(.*)"$', text, re.MULTILINE)
    told = f"{named},{spell_peer(node, '').rstrip('@')}"
    settings.write_text(text.replace(f'{name} = "{named}"', f'{name} = "{told}"'))
