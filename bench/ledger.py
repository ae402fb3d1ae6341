"""ledger.final: transactions that sixteen hospitals submit at once, until they are final and durable."""

import gc
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bench.harness import RUNS, Figure, compare, measure_s, measure_verifies, take_median
from bench.workload import SUBMITTERS, Hospital, open_network
from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.model.reasons import ACCEPTED

TRANSACTIONS_EACH: Final = 2_000
WINDOW: Final = 250
"""How many transactions a hospital has under way before it waits for their answers."""


def measure() -> dict[str, Figure]:
    """Measure several runs on one growing ledger."""
    with tempfile.TemporaryDirectory() as folder:
        engine, hospitals = open_network(Path(folder))
        gc.freeze()  # as a node does once it is wired: what lives by now lives on
        try:
            return {"ledger.final": take_median(_measure_once(engine, hospitals) for _ in range(RUNS))}
        finally:
            engine.close()
            gc.unfreeze()


def _measure_once(engine: EmbeddedEngine, hospitals: list[Hospital]) -> Figure:
    work = [hospital.write_mix(TRANSACTIONS_EACH) for hospital in hospitals]
    before = measure_verifies()
    with ThreadPoolExecutor(SUBMITTERS) as pool:
        seconds = measure_s(lambda: list(pool.map(lambda raws: _submit(engine, raws), work)))
    floor = (before + measure_verifies()) / 2
    return compare(SUBMITTERS * TRANSACTIONS_EACH / seconds, "tx/s", floor)


def _submit(engine: EmbeddedEngine, raws: list[bytes]) -> None:
    """Submit in windows; a transaction that was not accepted would make the figure worthless."""
    for begin in range(0, len(raws), WINDOW):
        futures = [engine.submit(raw) for raw in raws[begin : begin + WINDOW]]
        if any(future.result().reason != ACCEPTED for future in futures):
            message = "a transaction of the workload was refused"
            raise RuntimeError(message)
