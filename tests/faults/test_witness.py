"""A witness of real validators: it keeps every commit, checked, and picks up where it was cut off."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from iamata.engines.comet.witness import Witness
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.commits import CommitFile, read_kept
from iamata.ledger.light.verifying import check_light_block, trust_genesis
from iamata.model.ids import Digest
from iamata.model.reasons import Reason, Refused
from iamata.testing.validators import CometNetwork, found_validators

MEMBERS: Final = ("hospital-a", "hospital-b", "hospital-c", "regulator")


@pytest.fixture(scope="module")
def network(
    require_part: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CometNetwork]:
    program = require_part("cometbft")
    seeds = [os.urandom(32) for _ in MEMBERS]
    running = CometNetwork(program, tmp_path_factory.mktemp("net"), found_validators(MEMBERS, seeds), seeds)
    running.start()
    running.await_height(1)
    yield running
    running.kill()


def await_height(witness: Witness, height: int) -> None:
    deadline_s = time.monotonic() + 30
    while witness.height < height:
        assert time.monotonic() < deadline_s, f"the witness never came to {height}"
        time.sleep(0.02)


@pytest.mark.slow
def test_every_commit_is_kept_and_holds(network: CometNetwork, tmp_path: Path) -> None:
    height = network.store("seen=1")
    witness = Witness(tmp_path, network.genesis, network.connect())
    try:
        await_height(witness, height + 1)
        later = network.store("seen=2")
        witness.notice(later)
        await_height(witness, later + 1)
    finally:
        witness.close()
    again = Witness(tmp_path, network.genesis, network.connect())
    try:
        assert again.height >= later + 1
    finally:
        again.close()

    file = CommitFile(tmp_path, is_writer=False)
    trust = trust_genesis(network.genesis)
    for expected, (found, raw) in enumerate(file.read_all(), start=1):
        assert found == expected
        trust = check_light_block(read_kept(raw), trust)
    assert trust.height >= later + 1
    file.close()


@pytest.mark.slow
def test_a_checkpoint_waits_for_the_header_that_vouches_for_it(
    network: CometNetwork, tmp_path: Path
) -> None:
    height = network.store("vouched=1")
    rpc = network.connect()
    app_hash = Digest(rpc.read_light_block(height + 1).header.app_hash)
    witness = Witness(tmp_path, network.genesis, rpc)
    try:
        raw, steps = witness.vouch(height, app_hash)
    finally:
        witness.close()

    light = read_kept(raw)
    assert (light.header.height, light.header.app_hash, list(steps)) == (height + 1, app_hash, [])
    check_light_block(light, trust_genesis(network.genesis))


@pytest.mark.slow
def test_without_a_quorum_nothing_is_vouched_for(
    network: CometNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iamata.engines.comet.witness.VOUCH_TIMEOUT_S", 0.5)
    witness = Witness(tmp_path, network.genesis, network.connect())
    try:
        with pytest.raises(Refused) as refused:
            witness.vouch(1_000_000, Digest("A" * 43))
    finally:
        witness.close()

    assert refused.value.reason is Reason.TOO_BUSY


@pytest.mark.slow
def test_a_header_from_the_future_is_taken_when_its_time_has_come(
    network: CometNetwork, tmp_path: Path
) -> None:
    height = network.store("future=1")
    now_ms = [network.genesis.created_ms - 60_000]
    witness = Witness(tmp_path, network.genesis, network.connect(), clock=lambda: now_ms[0])
    try:
        time.sleep(0.5)
        early = witness.height
        now_ms[0] = read_clock_ms()
        await_height(witness, height)
    finally:
        witness.close()

    assert early == 0


@pytest.mark.slow
def test_another_network_is_not_witnessed(network: CometNetwork, tmp_path: Path) -> None:
    foreign = found_validators(MEMBERS, [os.urandom(32) for _ in MEMBERS])
    witness = Witness(tmp_path, foreign, network.connect())
    try:
        time.sleep(0.5)
        assert witness.height == 0
    finally:
        witness.close()
