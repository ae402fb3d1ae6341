"""The real CometBFT, as make builds it, before one application: blocks, restarts, sudden deaths."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.broadcasting import RpcBroadcast
from iamata.engines.comet.rpc import CometRpc
from iamata.engines.embedded.engine import read_clock_ms
from iamata.model.reasons import ACCEPTED, Reason
from iamata.testing.entropy import derive_bytes
from iamata.testing.real_comet import RealComet
from iamata.testing.validator import ValidatorTown

TIMEOUT_S = 40
ADDRESS = "unix://{}/ledger.sock"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ValidatorTown]:
    town = ValidatorTown(tmp_path, now_ms=read_clock_ms() - 1_000)
    yield town
    town.close()


@pytest.fixture
def comet(town: ValidatorTown, tmp_path: Path, require_part: Callable[[str], Path]) -> Iterator[RealComet]:
    comet = RealComet(
        require_part("cometbft"),
        tmp_path / "comet",
        town.genesis,
        key=town.validator.key_id,
        seed=town.validator_seed,
    )
    town.broadcast = RpcBroadcast(comet.rpc_address)
    comet.start(ADDRESS.format(tmp_path))
    yield comet
    comet.stop(signal.SIGKILL)


def submit(town: ValidatorTown, count: int) -> list[int]:
    """Submit transactions, and return their places in the log."""
    futures = [town.engine.submit(raw) for raw in town.write_anchors(count)]
    answers = [future.result(TIMEOUT_S) for future in futures]
    assert {one.reason for one in answers} == {ACCEPTED}
    return [one.index for one in answers]


def test_transactions_become_final_in_bundles(town: ValidatorTown, comet: RealComet) -> None:
    places = submit(town, 300)
    [refused] = [town.engine.submit(raw).result(TIMEOUT_S) for raw in town.write_refused(1)]
    blocks = list(town.engine.read_blocks())

    assert sorted(places) == list(range(300))
    assert (refused.reason, refused.index) == (Reason.UNKNOWN_CONSENT, 300)
    assert sum(len(block.groups) for block in blocks) < 30
    assert [sum(block.groups) for block in blocks] == [len(block.transactions) for block in blocks]
    assert comet.read_log()


def test_both_restart_and_go_on(town: ValidatorTown, comet: RealComet, tmp_path: Path) -> None:
    submit(town, 20)
    before = town.engine.snapshot()
    comet.stop()
    town.restart()
    comet.start(ADDRESS.format(tmp_path))

    places = submit(town, 20)

    assert sorted(places) == list(range(20, 40))
    assert town.engine.snapshot().prove_growth(before.log_size).earlier_size == before.log_size


@pytest.mark.parametrize("is_application_killed", [False, True])
def test_a_sudden_death_loses_nothing(
    town: ValidatorTown, comet: RealComet, tmp_path: Path, *, is_application_killed: bool
) -> None:
    """An application that closes in the middle of a block has kept nothing of it, as if it had died."""
    acknowledged = 0
    for _ in range(3):
        acknowledged += len(submit(town, 10))
        waiting = [town.engine.submit(raw) for raw in town.write_anchors(50)]
        if is_application_killed:
            town.restart()
            comet.wait_for_end()  # CometBFT does not outlive its application
        comet.stop(signal.SIGKILL)
        comet.start(ADDRESS.format(tmp_path))
        if not is_application_killed:
            acknowledged += sum(future.result(TIMEOUT_S).reason == ACCEPTED for future in waiting)
        submit(town, 1)
        acknowledged += 1

    assert town.engine.snapshot().log_size >= acknowledged
    assert all(leaf.reason == ACCEPTED for _, leaf in town.engine.events(0))


def test_an_outsider_is_let_into_no_gossip(
    town: ValidatorTown, tmp_path: Path, require_part: Callable[[str], Path]
) -> None:
    """It knows the genesis and the address, and speaks CometBFT: its key is not among the peers'."""
    program = require_part("cometbft")
    seeds = [town.validator_seed, *(derive_bytes(name, length=32) for name in ("friend", "outsider"))]
    first, friend, outsider = (
        RealComet(
            program, tmp_path / str(at), town.genesis, key=SigningKey.from_seed(seed).key_id, seed=seed
        )
        for at, seed in enumerate(seeds)
    )
    town.restart(peers=(friend.read_node_id(),))
    peer = f"{first.read_node_id()}@{first.p2p_address}"
    try:
        first.start(ADDRESS.format(tmp_path), settings={"FILTER_PEERS": "true"})
        for other in (outsider, friend):  # the outsider tries first, and tries again and again
            other.start("kvstore", peers=peer)
        await_that(lambda: read_peers(friend) == {first.read_node_id()})
        await_that(lambda: outsider.read_node_id() in first.read_log())

        # To the outsider each connection is a peer until it is closed; what counts is whom the others know.
        assert read_peers(first) == {friend.read_node_id()}
        assert read_peers(friend) == {first.read_node_id()}
        await_that(lambda: not read_peers(outsider))
    finally:
        for one in (outsider, friend, first):
            one.stop(signal.SIGKILL)


def read_peers(comet: RealComet) -> set[str]:
    """Read the ids of the nodes that it exchanges blocks and votes with."""
    rpc = CometRpc(comet.rpc_address)
    try:
        return {peer["node_info"]["id"] for peer in rpc.ask("net_info", dict)["peers"]}
    finally:
        rpc.close()


def await_that(condition: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: It did not within `TIMEOUT_S`.

    """
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(0.1)


def test_a_foreign_genesis_ends_consensus_with_a_clear_word(
    town: ValidatorTown, tmp_path: Path, require_part: Callable[[str], Path]
) -> None:
    genesis = msgspec.structs.replace(town.genesis, name="Another network")
    key, seed = town.validator.key_id, town.validator_seed
    comet = RealComet(require_part("cometbft"), tmp_path / "comet", genesis, key=key, seed=seed)

    with contextlib.suppress(RuntimeError):  # it may end before or after its RPC answers
        comet.start(ADDRESS.format(tmp_path))
    comet.wait_for_end()

    assert "FOREIGN_NETWORK" in comet.read_log()
