"""The file forgets what was overwritten, whatever blocks wrote, and a restart finds the same state."""

import os
import random
import sqlite3

import pytest

from iamata.crypto.hpke import derive_sealing_key
from iamata.engines.embedded.engine import EmbeddedEngine, read_clock_ms
from iamata.engines.keeping import segments
from iamata.ledger.transactions.members import RotateSealingKey
from iamata.model.reasons import ACCEPTED
from iamata.testing.town import Town
from iamata.workflows.author import Author

ANSWER_TIMEOUT_S = 20
BLOCKS = 120


@pytest.fixture(autouse=True)
def _impatient_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GARBAGE_FREE", 0)


def test_blocks_of_refused_transactions_do_not_disturb_the_collection(town: Town) -> None:
    """Such a block writes no segment, so there is none to empty when its turn would come."""
    engine, chance = town.open(), random.Random(11)

    refused = 0
    for _ in range(BLOCKS):
        is_refused = chance.random() < 0.5
        raw = town.write_refused(engine, 1)[0] if is_refused else _write_rotation(town, engine)
        finality = engine.submit(raw).result(ANSWER_TIMEOUT_S)
        assert (finality.reason != ACCEPTED) == is_refused
        refused += is_refused

    assert 0 < refused < BLOCKS
    assert len(_list_segments(town)) < (BLOCKS - refused) / 2
    _check_restart(town, engine)


def test_collection_goes_on_after_every_restart(town: Town) -> None:
    engine = town.open()
    for _ in range(6):
        for raw in [*town.write_refused(engine, 3), *(_write_rotation(town, engine) for _ in range(12))]:
            engine.submit(raw).result(ANSWER_TIMEOUT_S)
        engine = _check_restart(town, engine)

    assert len(_list_segments(town)) < 6 * 12 / 2


def _write_rotation(town: Town, engine: EmbeddedEngine) -> bytes:
    """Overwrite one entry of the map."""
    author = Author(engine, town.node, read_clock_ms, os.urandom)
    return author.write(RotateSealingKey, sealing_key=derive_sealing_key(os.urandom(32)))


def _list_segments(town: Town) -> list[int]:
    with sqlite3.connect(town.folder / "ledger.db") as database:
        heights = [row[0] for row in database.execute("SELECT height FROM segment ORDER BY height")]
    database.close()
    return heights


def _check_restart(town: Town, engine: EmbeddedEngine) -> EmbeddedEngine:
    before = engine.snapshot()
    engine.close()
    reopened = town.open()
    after = reopened.snapshot()
    assert (after.height, after.app_hash) == (before.height, before.app_hash)
    return reopened
