"""Record vectors/light from a run of the real CometBFT: four validators, its own kvstore, on loopback.

    .venv/bin/python scripts/record_light_vectors.py .venv/bin/cometbft vectors/light

The run: blocks by all four; one validator's weight is raised to more than two thirds; the others stop,
and it goes on alone, so that the genesis alone no longer vouches for what it signs. Keys are drawn for
the run and thrown away.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.files import (
    CometSettings,
    spell_genesis,
    spell_node_key,
    spell_peer,
    spell_settings,
    spell_validator_key,
    spell_validator_state,
)
from iamata.engines.comet.lights import CommitAnswer, ValidatorAnswer, make_light_block
from iamata.ledger.entries import MemberKind, Validator
from iamata.ledger.genesis import Genesis
from iamata.model.canonical import encode_struct
from iamata.model.ids import MemberId, decode_digest
from iamata.workflows.founding import draw_founder, write_genesis

MEMBERS = ("hospital-a", "hospital-b", "hospital-c", "regulator")
POWER = 10
GREAT_POWER = 100
WHY = (
    "Recorded from four processes of CometBFT 0.38.25 with its kvstore: what a light client must take and "
    "refuse. At `raised` the weight of one validator is over two thirds; at `alone` the three others are "
    "dead, so that less than a third of the genesis' weight has signed. The keys were drawn for this run."
)


def main() -> None:
    """Run a network, record it, and end it."""
    binary, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    seeds = [os.urandom(32) for _ in MEMBERS]
    genesis = found(seeds)
    with tempfile.TemporaryDirectory() as folder:
        ports = draw_ports(2 * len(MEMBERS))
        homes = write_homes(Path(folder), genesis, seeds, ports)
        processes = [start(binary, home) for home in homes]
        try:
            record(target, genesis, processes, rpc_port=ports[1], key=seeds[0])
        finally:
            for process in processes:
                process.kill()
                process.wait()


def record(
    target: Path,
    genesis: Genesis,
    processes: list["subprocess.Popen[bytes]"],
    *,
    rpc_port: int,
    key: bytes,
) -> None:
    """Drive the run, and write what it showed."""
    await_height(rpc_port, 1)
    heights = {"first": 1}
    heights["changed"] = broadcast(rpc_port, "a=1")
    public = base64.b64encode(decode_digest(SigningKey.from_seed(key).key_id)).decode("ascii")
    raised = broadcast(rpc_port, f"val=ed25519!{public}!{GREAT_POWER}")
    heights["raising"] = raised
    broadcast(rpc_port, "b=2")
    heights["raised"] = raised + 2
    for process in processes[1:]:
        process.kill()
        process.wait()
    heights["alone"] = broadcast(rpc_port, "c=3") + 1
    broadcast(rpc_port, "d=4")
    await_height(rpc_port, heights["alone"] + 1)
    target.mkdir(parents=True)
    (target / "genesis.json").write_bytes(encode_struct(genesis))
    lights = [read_light(rpc_port, height) for height in range(1, heights["alone"] + 1)]
    (target / "chain.ndjson").write_bytes(b"".join(one + b"\n" for one in lights))
    answers = {
        name: {part: ask(rpc_port, part, height=str(height)) for part in ("commit", "validators", "block")}
        for name, height in heights.items()
    }
    note = {"why": WHY, "heights": heights, "answers": answers}
    (target / "rpc.json").write_text(json.dumps(note, indent=1, sort_keys=True) + "\n")


def found(seeds: list[bytes]) -> Genesis:
    """Found a network whose validators have these keys."""
    founders = [
        draw_founder(MemberId(member), member.title(), MemberKind.HOSPITAL, os.urandom)
        for member in MEMBERS
    ]
    genesis = write_genesis(
        "Light vectors",
        founders,
        orderer_seed=os.urandom(32),
        created_ms=time.time_ns() // 1_000_000,
        entropy=os.urandom,
    )
    validators = tuple(
        Validator(member=MemberId(member), key=SigningKey.from_seed(seed).key_id, power=POWER)
        for member, seed in zip(MEMBERS, seeds, strict=True)
    )
    return msgspec.structs.replace(genesis, orderer=msgspec.UNSET, validators=validators)


def write_homes(folder: Path, genesis: Genesis, seeds: list[bytes], ports: list[int]) -> list[Path]:
    """Write the files of four nodes."""
    node_seeds = [os.urandom(32) for _ in seeds]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    peers = [
        spell_peer(SigningKey.from_seed(seed).key_id, address)
        for seed, address in zip(node_seeds, addresses[::2], strict=True)
    ]
    homes = []
    for index, (seed, node_seed) in enumerate(zip(seeds, node_seeds, strict=True)):
        home = folder / str(index)
        (home / "config").mkdir(parents=True)
        (home / "data").mkdir()
        settings = CometSettings(
            moniker=f"node{index}",
            proxy_app="kvstore",
            p2p_address=addresses[2 * index],
            rpc_address=addresses[2 * index + 1],
            peers=tuple(peer for at, peer in enumerate(peers) if at != index),
        )
        (home / "config" / "config.toml").write_bytes(spell_settings(settings))
        (home / "config" / "genesis.json").write_bytes(spell_genesis(genesis))
        (home / "config" / "node_key.json").write_bytes(
            spell_node_key(SigningKey.from_seed(node_seed), node_seed)
        )
        (home / "config" / "priv_validator_key.json").write_bytes(
            spell_validator_key(SigningKey.from_seed(seed), seed)
        )
        (home / "data" / "priv_validator_state.json").write_bytes(spell_validator_state())
        homes.append(home)
    return homes


def start(binary: Path, home: Path) -> "subprocess.Popen[bytes]":
    """Start one node."""
    log = (home / "log").open("wb")
    return subprocess.Popen([binary, "start", "--home", home], stdout=log, stderr=log)  # noqa: S603  given by hand


def draw_ports(count: int) -> list[int]:
    """Find ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def ask(port: int, method: str, **parameters: str) -> Any:  # noqa: ANN401  whatever the RPC answers
    """Ask a node's RPC."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{method}?{query}", timeout=30) as answer:
        return json.load(answer)["result"]


def broadcast(port: int, text: str) -> int:
    """Hand a transaction in, and return the height that took it."""
    answer = ask(port, "broadcast_tx_commit", tx=f'"{text}"')
    if answer["tx_result"].get("code"):
        sys.exit(f"{text}: {answer}")
    height = int(answer["height"])
    await_height(port, height + 1)
    return height


def await_height(port: int, height: int) -> None:
    """Wait until a height is final."""
    for _ in range(600):
        try:
            if int(ask(port, "status")["sync_info"]["latest_block_height"]) >= height:
                return
        except OSError:
            """Not up yet."""
        time.sleep(0.1)
    sys.exit(f"height {height} was never reached")


def read_light(port: int, height: int) -> bytes:
    """Read one height as a light block."""
    commit = msgspec.convert(ask(port, "commit", height=str(height)), CommitAnswer)
    answer = ask(port, "validators", height=str(height), per_page="100")
    validators = msgspec.convert(answer["validators"], list[ValidatorAnswer])
    return encode_struct(make_light_block(commit, validators))


if __name__ == "__main__":
    main()
