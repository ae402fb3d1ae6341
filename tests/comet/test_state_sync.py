"""A node that comes late begins with a snapshot, over the real CometBFT's state sync."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.broadcasting import RpcBroadcast
from iamata.engines.embedded.engine import read_clock_ms
from iamata.testing.entropy import derive_bytes
from iamata.testing.real_comet import RealComet
from iamata.testing.validator import ValidatorTown

TIMEOUT_S = 60
SNAPSHOT_BLOCKS = 4


def ask(comet: RealComet, question: str) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    with urllib.request.urlopen(f"http://{comet.rpc_address}/{question}", timeout=5) as answer:
        found: dict[str, dict[str, dict[str, dict[str, str]]]] = json.loads(answer.read())["result"]
        return found


def begin_with_a_snapshot(late: RealComet, first: RealComet, application: str) -> None:
    """Start a CometBFT that trusts another one's first header, and asks it for a snapshot."""
    trusted = ask(first, "commit?height=1")["signed_header"]["commit"]["block_id"]["hash"]
    late.start(
        application,
        peers=f"{first.read_node_id()}@{first.p2p_address}",
        settings={
            "FILTER_PEERS": "true",
            "STATESYNC_ENABLE": "true",
            "STATESYNC_RPC_SERVERS": f"{first.rpc_address},{first.rpc_address}",
            "STATESYNC_TRUST_HEIGHT": "1",
            "STATESYNC_TRUST_HASH": str(trusted),
            "STATESYNC_DISCOVERY_TIME": "5s",
        },
    )


@pytest.mark.slow
def test_a_late_node_begins_with_a_snapshot_and_follows(
    tmp_path: Path, require_part: Callable[[str], Path]
) -> None:
    program, town = require_part("cometbft"), ValidatorTown(tmp_path, now_ms=read_clock_ms() - 1_000)
    key, seed = town.validator.key_id, town.validator_seed
    first = RealComet(program, tmp_path / "comet", town.genesis, key=key, seed=seed)
    other = derive_bytes("late", "validator", length=32)
    stranger = SigningKey.from_seed(other).key_id
    late = RealComet(program, tmp_path / "comet-late", town.genesis, key=stranger, seed=other)
    # Each names the other, as the operators of a late node and of an early one have to.
    town.restart(snapshot_blocks=SNAPSHOT_BLOCKS, peers=(late.read_node_id(),))
    town.broadcast = RpcBroadcast(first.rpc_address)
    try:
        first.start(f"unix://{tmp_path}/ledger.sock", settings={"FILTER_PEERS": "true"})
        for raw in town.write_anchors(6):
            assert town.engine.submit(raw).result(TIMEOUT_S).reason == 0
        engine = town.open("late", peers=(first.read_node_id(),))
        begin_with_a_snapshot(late, first, f"unix://{tmp_path}/late.sock")
        submitted = town.engine.submit(town.write_anchors(1)[0]).result(TIMEOUT_S)
        deadline = time.monotonic() + TIMEOUT_S
        while engine.snapshot().height < submitted.height and time.monotonic() < deadline:
            time.sleep(0.1)

        ours, theirs = engine.snapshot(), town.engine.snapshot()
        heights = [block.height for block in engine.read_blocks()]

        assert ours.height >= submitted.height, late.read_log()[-3_000:]
        assert (ours.app_hash, ours.log_size) == (theirs.app_hash, theirs.log_size)
        assert "Snapshot restored" in late.read_log()
        assert heights[-1] == ours.height
    finally:
        late.stop()
        first.stop()
        town.close()
