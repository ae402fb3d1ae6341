"""Several real CometBFT on this machine, with CometBFT's own key-value store or with ours behind them."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.files import CometSettings, spell_peer
from iamata.engines.comet.rpc import CometRpc
from iamata.ledger.entries import MemberKind, Validator
from iamata.ledger.genesis import Genesis
from iamata.model.ids import MemberId
from iamata.model.reasons import Refused
from iamata.node.comet_home import LOOPBACK, CometSeeds, draw_ports, write_comet_folder
from iamata.workflows.founding import draw_founder, write_genesis

KVSTORE: Final = "kvstore"
POWER: Final = 10
PATIENCE_S: Final = 60.0
LOOK_S: Final = 0.05


class CometNetwork:
    """One CometBFT for each seed, each with its folder and its ports."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        genesis: Genesis,
        seeds: Sequence[bytes],
        *,
        find_app: Callable[[int], str] = lambda _: KVSTORE,
    ) -> None:
        self.genesis = genesis
        self.homes = [folder / str(index) for index in range(len(seeds))]
        self._program = program
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        keys = [CometSeeds(validator=seed, node=os.urandom(32)) for seed in seeds]
        ports = draw_ports(2 * len(seeds))
        self._addresses = [f"{LOOPBACK}:{port}" for port in ports]
        peers = [
            spell_peer(SigningKey.from_seed(one.node).key_id, address)
            for one, address in zip(keys, self._addresses[::2], strict=True)
        ]
        for index, home in enumerate(self.homes):
            settings = CometSettings(
                moniker=f"node{index}",
                proxy_app=find_app(index),
                p2p_address=self._addresses[2 * index],
                rpc_address=self._addresses[2 * index + 1],
                peers=tuple(peer for at, peer in enumerate(peers) if at != index),
            )
            write_comet_folder(home, genesis, settings, keys[index])

    def start(self, *indices: int) -> None:
        """Start these, or all."""
        for index in indices or range(len(self.homes)):
            home = self.homes[index]
            with (home / "log").open("ab") as log:
                self._processes[index] = subprocess.Popen(  # noqa: S603  the program that was asked for
                    [self._program, "start", "--home", home], stdout=log, stderr=log
                )

    def kill(self, *indices: int) -> None:
        """Kill these, or all, without a warning."""
        for index in indices or tuple(self._processes):
            process = self._processes.pop(index)
            process.kill()
            process.wait()

    def connect(self, index: int = 0) -> CometRpc:
        """Make a connection to one's RPC; whoever asked closes it."""
        return CometRpc(self._addresses[2 * index + 1])

    def ask(self, method: str, *, index: int = 0, **parameters: str) -> Any:  # noqa: ANN401  its own words
        """Ask one's RPC one question."""
        rpc = self.connect(index)
        try:
            return rpc.ask(method, dict, **parameters)
        finally:
            rpc.close()

    def read_height(self, index: int = 0) -> int:
        """Tell how far one's blocks go, 0 while it does not answer."""
        rpc = self.connect(index)
        try:
            return int(rpc.read_status().sync_info.latest_block_height)
        except Refused:
            return 0
        finally:
            rpc.close()

    def await_height(self, height: int, *, index: int = 0) -> None:
        """Wait until one has a block."""
        deadline_s = time.monotonic() + PATIENCE_S
        while self.read_height(index) < height:
            if time.monotonic() > deadline_s:
                message = f"node {index} never came to height {height}; see {self.homes[index] / 'log'}"
                raise TimeoutError(message)
            time.sleep(LOOK_S)

    def store(self, text: str, *, index: int = 0) -> int:
        """Hand the key-value store a transaction; return its height when the next block is there too."""
        answer = self.ask("broadcast_tx_commit", index=index, tx=f'"{text}"')
        if answer["check_tx"].get("code") or answer["tx_result"].get("code"):
            message = f"{text}: {answer}"
            raise ValueError(message)
        height = int(answer["height"])
        self.await_height(height + 1, index=index)
        return height


def found_validators(
    members: Sequence[str], seeds: Sequence[bytes], *, name: str = "Validators"
) -> Genesis:
    """Found a network that members order together, with these consensus keys and equal weights."""
    ids = [MemberId(member) for member in members]
    founders = [draw_founder(one, one.title(), MemberKind.HOSPITAL, os.urandom) for one in ids]
    genesis = write_genesis(
        name,
        founders,
        orderer_seed=os.urandom(32),
        created_ms=time.time_ns() // 1_000_000,
        entropy=os.urandom,
    )
    validators = tuple(
        Validator(member=one, key=SigningKey.from_seed(seed).key_id, power=POWER)
        for one, seed in zip(ids, seeds, strict=True)
    )
    return msgspec.structs.replace(genesis, orderer=msgspec.UNSET, validators=validators)
