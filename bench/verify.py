"""verify.tx: an outsider's replay of a ledger file, every signature checked and every hash compared."""

import gc
import tempfile
from pathlib import Path
from typing import Final

from bench.harness import RUNS, Figure, compare, measure_s, measure_verifies, take_median
from bench.workload import Hospital, open_network
from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.workflows.replaying import replay

TRANSACTIONS_EACH: Final = 1_500


def measure() -> dict[str, Figure]:
    """Fill a ledger and replay it several times."""
    with tempfile.TemporaryDirectory() as folder:
        engine, hospitals = open_network(Path(folder))
        try:
            _fill(engine, hospitals)
            gc.freeze()
            return {"verify.tx": take_median(_measure_once(engine) for _ in range(RUNS))}
        finally:
            engine.close()
            gc.unfreeze()


def _fill(engine: EmbeddedEngine, hospitals: list[Hospital]) -> None:
    futures = [
        engine.submit(raw) for hospital in hospitals for raw in hospital.write_mix(TRANSACTIONS_EACH)
    ]
    for future in futures:
        future.result()


def _measure_once(engine: EmbeddedEngine) -> Figure:
    size, app_hash = engine.snapshot().log_size, engine.snapshot().app_hash
    before = measure_verifies()
    seconds = measure_s(lambda: _replay(engine, app_hash))
    floor = (before + measure_verifies()) / 2
    return compare(size / seconds, "tx/s", floor)


def _replay(engine: EmbeddedEngine, app_hash: str) -> None:
    checker = SignatureChecker()
    report = replay(engine.genesis, engine.read_blocks(), checker)
    checker.close()
    if report.app_hash != app_hash:
        message = "the replay came to another app hash"
        raise RuntimeError(message)
