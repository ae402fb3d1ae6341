"""The figures of four validators on one machine: what they order, how soon, what that costs and leaves.

Nothing here is played: each node is a process with a CometBFT beside it, four of each on this machine, and
whoever sends the load runs on it too. Where a figure has a floor it was measured in the same run.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from bench.comet.floor import measure_kvstore
from bench.comet.load import LANES_EACH, Load, Sent, sending
from bench.comet.queries import querying
from bench.comet.usage import Bytes, measure_bytes, measure_seconds
from bench.harness import Figure, compare
from iamata.node.configuration import Comet, read_configuration, write_configuration
from iamata.testing.running import MEMBERS, RunningNetwork

SUSTAINED_S: Final = 60.0
FLOOR_S: Final = 15.0
RATE_MAX: Final = 3_000
"""So many transactions a second are signed ahead; a network that is faster would stand idle at the end."""
LATENCY_PER_S: Final = 50.0
QUERIES_PER_S: Final = 1_200.0
SMALL_WINDOW: Final = 50
"""A steady load comes in smaller requests, so that the beginning and the end matter less."""
QUERIED_SHARE: Final = 0.7
LAGGARD: Final = MEMBERS[-1]
PRUNER: Final = MEMBERS[1]
"""Whose CometBFT keeps so few blocks."""
PRUNED_TO: Final = 10
SETTLE_S: Final = 5.0
IDLE_S: Final = 20.0
FLOOR_PORT, PORT = 9_350, 9_300
LOOK_S: Final = 0.02
PATIENCE_S: Final = 300.0


def measure(sustained_s: float = SUSTAINED_S) -> dict[str, Figure]:
    """Run the floor, the network, and the floor again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size_bytes = 750
        before = _measure_floor(folder / "before", sustained_s, size_bytes)
        figures = _measure_network(folder / "network", sustained_s)
        after = _measure_floor(folder / "after", sustained_s, size_bytes)
    floor = (before + after) / 2
    figures["comet.final"] = compare(figures["comet.final"].value, "tx/s", floor)
    return figures


def _measure_floor(folder: Path, sustained_s: float, size_bytes: int) -> float:
    for_s = min(FLOOR_S, sustained_s)
    return measure_kvstore(folder, for_s=for_s, size_bytes=size_bytes, first_port=FLOOR_PORT)


def _measure_network(folder: Path, sustained_s: float) -> dict[str, Figure]:
    network = RunningNetwork(folder, first_port=PORT)
    homes = [network.get_home(one) for one in MEMBERS]
    _prune(network.get_home(PRUNER))
    network.start()
    try:
        network.await_height(0)
        with sending(homes) as load:
            sent, figures = _measure_final(network, load, sustained_s)
            figures |= _measure_latency(load, sustained_s)
            figures |= _measure_queries(network, load, rate=sent.rate, for_s=sustained_s / 2)
        figures |= _measure_catching_up(network, rate=sent.rate, for_s=sustained_s / 2)
        return figures | _measure_idleness(network)
    finally:
        network.stop()


def _sign(load: Load, count: float) -> None:
    load.sign(int(count / len(MEMBERS) / LANES_EACH) + 1)


def _measure_final(
    network: RunningNetwork, load: Load, sustained_s: float
) -> tuple[Sent, dict[str, Figure]]:
    _sign(load, sustained_s * RATE_MAX)
    keeper, pruner = network.get_home(MEMBERS[0]), network.get_home(PRUNER)
    seconds, sizes = measure_seconds(network), (measure_bytes(keeper), measure_bytes(pruner))
    sent = load.send(for_s=sustained_s)
    seconds = measure_seconds(network) - seconds
    time.sleep(SETTLE_S)
    grown, pruned = measure_bytes(keeper) - sizes[0], measure_bytes(pruner) - sizes[1]
    per_ms = 1_000 / sent.count
    return sent, {
        "comet.final": Figure(value=sent.rate, unit="tx/s"),
        "comet.final_node_cpu_ms": Figure(value=seconds.node * per_ms, unit="ms/tx, 4 nodes"),
        "comet.final_comet_cpu_ms": Figure(value=seconds.comet * per_ms, unit="ms/tx, 4 nodes"),
        "comet.final_answer_p50_ms": Figure(value=statistics.median(sent.times_ms), unit="ms"),
        "comet.final_size": Figure(value=sent.size_bytes / sent.count, unit="bytes/tx"),
        **_compare_disks(grown, pruned, sent.count),
    }


def _prune(home: Path) -> None:
    configuration = read_configuration(home)
    engine = configuration.engine
    assert isinstance(engine, Comet)  # noqa: S101  as it was founded
    engine = msgspec.structs.replace(engine, blocks_kept=PRUNED_TO)
    write_configuration(home, msgspec.structs.replace(configuration, engine=engine))


def _compare_disks(grown: Bytes, pruned: Bytes, count: int) -> dict[str, Figure]:
    def compute_gb(size: int) -> Figure:
        return Figure(value=size / count * 1e6 / 1e9, unit="GB/million tx")

    return {
        "comet.disk_ledger": compute_gb(grown.ledger),
        "comet.disk_blocks": compute_gb(grown.blocks),
        "comet.disk_blocks_pruned": compute_gb(pruned.blocks),
        "comet.disk_log": compute_gb(grown.log),
    }


def _measure_latency(load: Load, sustained_s: float) -> dict[str, Figure]:
    for_s = sustained_s / 3
    _sign(load, LATENCY_PER_S * for_s * 1.2)
    time.sleep(SETTLE_S)
    times_ms = load.send(for_s=for_s, per_s=LATENCY_PER_S, window=1).times_ms
    return {
        "comet.latency_p50_ms": Figure(value=statistics.median(times_ms), unit="ms"),
        "comet.latency_p95_ms": Figure(value=statistics.quantiles(times_ms, n=20)[-1], unit="ms"),
    }


def _measure_queries(
    network: RunningNetwork, load: Load, *, rate: float, for_s: float
) -> dict[str, Figure]:
    """Send a part of what the network can take, without questions and with them."""
    homes = [network.get_home(one) for one in MEMBERS]
    per_s = QUERIED_SHARE * rate
    _sign(load, 2 * per_s * for_s * 1.2)
    alone = load.send(for_s=for_s, per_s=per_s, window=SMALL_WINDOW)
    with querying(homes, per_s=QUERIES_PER_S) as answered:
        beside = load.send(for_s=for_s, per_s=per_s, window=SMALL_WINDOW)
    return {
        "comet.query": Figure(value=answered.rate, unit="queries/s"),
        "comet.query_load": compare(beside.rate, "tx/s", alone.rate),
    }


def _measure_catching_up(network: RunningNetwork, *, rate: float, for_s: float) -> dict[str, Figure]:
    """Let a node miss what the others order, and see how fast it takes it in; its start does not count."""
    others = [one for one in MEMBERS if one != LAGGARD]
    network.kill([LAGGARD])
    with sending([network.get_home(one) for one in others]) as load:
        _sign(load, rate * for_s * 1.2)
        missed = load.send(for_s=for_s, per_s=rate).count
    time.sleep(SETTLE_S)
    target = network.read_height(others[0])
    network.start([LAGGARD])
    height = begun_s = 0.0
    deadline_s = time.monotonic() + PATIENCE_S
    begun_at = -1
    while (height := network.read_height(LAGGARD)) < target:
        if begun_at < 0 <= height:
            begun_at = height
        if height == begun_at:
            begun_s = time.monotonic()
        if time.monotonic() > deadline_s:
            message = f"block {target} was never reached"
            raise TimeoutError(message)
        time.sleep(LOOK_S)
    return {"comet.catch_up": compare(missed / (time.monotonic() - begun_s), "tx/s", rate)}


def _measure_idleness(network: RunningNetwork) -> dict[str, Figure]:
    time.sleep(SETTLE_S)
    height, before = network.read_comet_height(MEMBERS[0]), measure_seconds(network)
    time.sleep(IDLE_S)
    used = measure_seconds(network) - before
    blocks = network.read_comet_height(MEMBERS[0]) - height
    return {
        "comet.idle_cpu": Figure(value=(used.node + used.comet) / IDLE_S / len(MEMBERS), unit="cores/node"),
        "comet.idle_blocks": Figure(value=blocks, unit="blocks"),
    }
