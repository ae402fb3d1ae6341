"""A real CometBFT before one application, for tests: its files, its process, and its death."""

import base64
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from iamata.ledger.genesis import Genesis, compute_network_id
from iamata.ledger.misbehaviour import compute_address
from iamata.model.ids import KeyId, decode_digest
from iamata.model.instants import Instant, format_instant

START_TIMEOUT_S: Final = 30
GRACE_S: Final = 20


class RealComet:
    """One validator's CometBFT: a home, and a process while it runs."""

    def __init__(self, program: Path, home: Path, genesis: Genesis, *, key: KeyId, seed: bytes) -> None:
        self.rpc_address = f"127.0.0.1:{_find_port()}"
        self.p2p_address = f"127.0.0.1:{_find_port()}"
        self._program = program
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._run("init")
        (home / "config" / "genesis.json").write_bytes(_spell_genesis(genesis))
        (home / "config" / "priv_validator_key.json").write_bytes(_spell_key(key, seed))

    def start(
        self, application: str, *, peers: str = "", settings: Mapping[str, str] | None = None
    ) -> None:
        """Start it, and wait until its RPC answers; further settings are named as CometBFT does."""
        options = {
            "proxy_app": application,
            "rpc.laddr": f"tcp://{self.rpc_address}",
            "p2p.laddr": f"tcp://{self.p2p_address}",
            "p2p.persistent_peers": peers,
            "consensus.create_empty_blocks": "false",
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        fixed = {"P2P_ADDR_BOOK_STRICT": "false", "P2P_ALLOW_DUPLICATE_IP": "true", **(settings or {})}
        environment = {"HOME": str(self._home)} | {f"CMT_{name}": value for name, value in fixed.items()}
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the program under test
                [self._program, "start", "--home", self._home, *flags],
                stdout=log,
                stderr=log,
                env=environment,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        host, _, port = self.rpc_address.rpartition(":")
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                return
            time.sleep(0.05)
        message = f"CometBFT did not start: {self.read_log()[-2_000:]}"
        raise RuntimeError(message)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, gently or not."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, how)
            process.wait(GRACE_S)

    def wait_for_end(self) -> None:
        """Wait until it ends by itself."""
        if self._process is not None:
            self._process.wait(GRACE_S)

    def read_log(self) -> str:
        """Return what it has said."""
        return (self._home / "log").read_text(encoding="utf-8", errors="replace")

    def read_node_id(self) -> str:
        """Return the name by which peers know it."""
        return self._run("show-node-id").decode("ascii").strip()

    def _run(self, command: str) -> bytes:
        arguments = [str(self._program), command, "--home", str(self._home)]
        answer = subprocess.run(arguments, check=True, capture_output=True)  # noqa: S603  the program under test
        return answer.stdout


def _spell_genesis(genesis: Genesis) -> bytes:
    validators = [
        {
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": _encode(decode_digest(one.key))},
            "power": str(one.power),
            "name": one.member,
        }
        for one in genesis.validators
    ]
    return msgspec.json.encode(
        {
            "genesis_time": format_instant(Instant(genesis.created_ms + 1)),
            "chain_id": compute_network_id(genesis),
            "initial_height": "1",
            "validators": validators,
            "app_hash": "",
        }
    )


def _spell_key(key: KeyId, seed: bytes) -> bytes:
    public = decode_digest(key)
    return msgspec.json.encode(
        {
            "address": compute_address(key).hex().upper(),
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": _encode(public)},
            "priv_key": {"type": "tendermint/PrivKeyEd25519", "value": _encode(seed + public)},
        }
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _find_port() -> int:
    """Find a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
