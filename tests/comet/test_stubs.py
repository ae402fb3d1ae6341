"""The messages are those of the pinned CometBFT, and clash with nobody else's copy of them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool

from iamata.engines.comet.protocol import abci_pb2

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "src" / "iamata" / "engines" / "comet" / "protocol"


def test_the_stubs_are_what_the_pinned_definitions_generate(
    require_part: Callable[[str], Path], tmp_path: Path
) -> None:
    require_part("go")
    script = [sys.executable, str(ROOT / "scripts" / "make_abci_stubs.py"), str(tmp_path)]
    subprocess.run(script, check=True)  # noqa: S603  our own script

    fresh = {path.name: path.read_bytes() for path in tmp_path.rglob("*_pb2.py*")}
    kept = {path.name: path.read_bytes() for path in STUBS.glob("*_pb2.py*")}

    assert len(fresh) == 10
    assert fresh == kept


def test_our_names_leave_room_for_the_original_ones() -> None:
    pool = descriptor_pool.Default()

    with pytest.raises(KeyError):
        pool.FindFileByName("tendermint/abci/types.proto")
    assert abci_pb2.DESCRIPTOR.package == "iamata.comet.abci"


def test_the_length_of_a_block_on_the_wire_is_known() -> None:
    """As CometBFT spells it: 5,000 transactions of 500 bytes."""
    request = abci_pb2.Request(finalize_block=abci_pb2.RequestFinalizeBlock(txs=[bytes(500)] * 5_000))

    assert abs(request.ByteSize() - 2_515_042) < 64
