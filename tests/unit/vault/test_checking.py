"""Rows checked in another process: the same findings in the same order, and no key where others look."""

import shutil
import sqlite3
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iamata.model.reasons import Refused
from iamata.ports import Workers
from iamata.testing.entropy import SeededEntropy
from iamata.testing.vault_samples import ANNA, BORIS, KEK, make_record, open_home
from iamata.vault import verification
from iamata.vault.custody import Custody
from iamata.vault.sealing import seal
from iamata.vault.verification import verify_records
from iamata.workers.mapping import InlineWorkers, ProcessWorkers

ROWS = 60
START_S = 30
FAULTS = (
    "UPDATE record SET body = zeroblob(99) WHERE sequence = ?",
    "UPDATE record SET commitment = zeroblob(32) WHERE sequence = ?",
    "UPDATE record SET facts = x'' WHERE sequence = ?",
    "UPDATE record SET patient = 'nobody' WHERE sequence = ?",
    "UPDATE record SET version = 0 WHERE sequence = ?",
    "DELETE FROM token WHERE sequence = ?",
    "DELETE FROM record WHERE sequence = ?",
)


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessWorkers]:
    """Start a process, and end it in the end."""
    with closing(ProcessWorkers()) as opened:
        yield opened


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a home with some records of two patients."""
    home = tmp_path_factory.mktemp("template") / "home"
    custody, stores = open_home(home, SeededEntropy("checking"))
    for number in range(ROWS):
        seal(custody, [[make_record(str(number), patient=(ANNA, BORIS)[number % 3 > 1])]])
    stores.close()
    return home


@pytest.fixture(autouse=True)
def _few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "ROWS_PER_QUESTION", 5)


@contextmanager
def opening_copy(template: Path, faults: dict[int, str] | None = None) -> Iterator[Custody]:
    """Open a copy of a home, with faults in rows."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(shutil.copytree(template, Path(folder) / "home"))
        with closing(sqlite3.connect(home / "vault/records.db", isolation_level=None)) as database:
            for sequence, statement in (faults or {}).items():
                database.execute(statement, (sequence,))
        custody, stores = open_home(home, SeededEntropy("copy"))
        yield custody
        stores.close()


def await_start(workers: ProcessWorkers) -> None:
    """Wait until the process is there, which no product needs to."""
    workers.process.start()
    deadline_s = time.monotonic() + START_S
    while not workers.process.is_ready() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert workers.process.is_ready()


def list_findings(custody: Custody, workers: Workers) -> list[object]:
    """List what passes, and the fault that ends it."""
    found: list[object] = []
    if isinstance(workers, ProcessWorkers):
        await_start(workers)
    try:
        found.extend(one.sequence for one in verify_records(custody, workers))  # keeps what comes first
    except Refused as refused:
        found.append((refused.reason, refused.detail))
    return found


def test_another_process_finds_the_same(template: Path, workers: ProcessWorkers) -> None:
    with opening_copy(template) as custody:
        found = list_findings(custody, workers)

        assert found == list(range(1, ROWS + 1))
        assert found == list_findings(custody, InlineWorkers())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.dictionaries(st.integers(1, ROWS), st.sampled_from(FAULTS), min_size=1, max_size=4))
def test_the_first_fault_is_the_same_wherever_rows_are_checked(
    template: Path, workers: ProcessWorkers, faults: dict[int, str]
) -> None:
    with opening_copy(template, faults) as custody:
        found = list_findings(custody, workers)

        assert found == list_findings(custody, InlineWorkers())
        assert isinstance(found[-1], tuple)
        first = min(faults)
        assert found[:-1] == list(range(1, first)) or "DELETE" in faults[first]


def test_no_key_stands_where_other_processes_look(template: Path) -> None:
    with closing(ProcessWorkers()) as workers, opening_copy(template) as custody:
        await_start(workers)
        keys = [KEK, *(custody.get_data_key(patient).reveal() for patient in (ANNA, BORIS))]
        assert len(list(verify_records(custody, workers))) == ROWS
        process = Path("/proc") / str(workers.process.pid)
        environment = (process / "environ").read_bytes()
        arguments = (process / "cmdline").read_bytes()
        files = [str(one.readlink()) for one in (process / "fd").iterdir()]

    assert environment == b""
    for key in keys:
        for spelled in (key, key.hex().encode(), urlsafe_b64encode(key).rstrip(b"=")):
            assert spelled not in arguments
    assert [one for one in files if not one.startswith("pipe:") and one != "/dev/null"] == []
