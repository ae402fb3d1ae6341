"""An import with a worker comes to the same as one without, whatever happens to the worker."""

import os
import shutil
import signal
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iamata.fhir import preparing
from iamata.fhir.describing import describe_all, describe_here
from iamata.intake.pipeline import Problem, Unit, read_units
from iamata.intake.progress import Progress
from iamata.intake.rules import load_rules
from iamata.node import importing
from iamata.node.home import open_home
from iamata.node.importing import ImportReport, import_files
from iamata.sample.writing import write_sample
from iamata.stores.memory.home import make_member_stores
from iamata.testing.entropy import SeededEntropy
from iamata.testing.known import EVERY_PATIENT
from iamata.testing.vault_samples import ANNA, BORIS, make_custody, make_record, open_all
from iamata.vault import sealing
from iamata.vault.sealing import seal
from iamata.workers.mapping import InlineWorkers, ProcessWorkers

MEMBER = "north-hospital"
START_S = 30


class ReadyWorkers(ProcessWorkers):
    """Wait until the process is there, so that it takes part in the smallest work."""

    def __init__(self) -> None:
        super().__init__()
        self.process.start()
        deadline_s = time.monotonic() + START_S
        while not self.process.is_ready() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert self.process.is_ready()


@pytest.fixture(autouse=True)
def _few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "RESOURCES_PER_QUESTION", 3)
    monkeypatch.setattr(sealing, "ROWS_PER_QUESTION", 3)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Write a sample, and beside it a bundle and lines of which some are bad."""
    folder = tmp_path / "sample"
    write_sample(folder, seed=5, patients=4, hospitals=1)
    resources: list[Any] = [{"resourceType": "Patient", "id": "good"}]
    resources += [{"resourceType": "Observation", "status": "final", "id": f"o{n}"} for n in range(12)]
    resources[4] = {"resourceType": "Observation", "subject": {"reference": "Patient?identifier=x|nobody"}}
    resources[6] = {"resourceType": "Observation", "subject": {"reference": "https://elsewhere/Patient/1"}}
    resources[7] = {"resourceType": "Nonsense"}
    resources[9]["component"] = {"deep": [[[]]]}
    for _ in range(80):
        resources[9]["component"] = [resources[9]["component"]]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": one} for one in resources]}
    (folder / "batch.json").write_bytes(msgspec.json.encode(bundle))
    lines = [msgspec.json.encode(one | {"id": f"line-{n}"}) for n, one in enumerate(resources)]
    (folder / "lines.ndjson").write_bytes(b"\n".join([*lines, b"{broken", lines[0].replace(b"-0", b"-a")]))
    return folder


def run_import(home: Path, sample: Path, *, kill_at: int | None = None) -> tuple[ImportReport, list[Any]]:
    """Import a sample, killing the worker half-way, and return what came of it and what is kept."""
    told = 0

    def tell(_: object) -> None:
        nonlocal told
        told += 1
        if told == kill_at:
            for pid in list_children():
                os.kill(pid, signal.SIGKILL)

    with open_home(home) as opened:
        office = opened.get_office(MEMBER)
        report = import_files(office, [sample], progress=Progress(), tell=tell)
        kept = [(one.header, one.body) for one in open_all(office.custody)]
    return report, kept


def list_children() -> list[int]:
    """List our child processes."""
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in read_words(task / "children")]


def read_words(path: Path) -> list[str]:
    return path.read_text().split()


def read_all(sample: Path, workers: ProcessWorkers | None) -> list[Unit | Problem]:
    """Read everything, described here or by workers too."""
    describe = describe_here if workers is None else partial(workers.map, describe_all)
    return list(read_units([sample], known=EVERY_PATIENT, rules=load_rules(), describe=describe))


def test_units_and_problems_are_the_same_wherever_records_are_described(sample: Path) -> None:
    with closing(ReadyWorkers()) as workers:
        read = read_all(sample, workers)
        assert workers.process.is_ready()

    assert read == read_all(sample, None)
    problems = {(Path(one.source).name, one.index) for one in read if isinstance(one, Problem)}
    assert problems == {
        *(("batch.json", index) for index in (4, 6, 7, 9)),
        *(("lines.ndjson", index) for index in (4, 6, 7, 9, 13)),
    }


def test_rows_are_the_same_wherever_they_are_sealed() -> None:
    records = [make_record(str(number), patient=(ANNA, BORIS)[number % 2]) for number in range(40)]
    rows = []
    with closing(ReadyWorkers()) as workers:
        for one in (InlineWorkers(), workers):
            custody = make_custody(make_member_stores(), SeededEntropy("sealing"))
            assert seal(custody, [records], workers=one).added == len(records)
            rows.append((custody.records.store.read_head(), list(custody.records.store.read_all())))
        assert workers.process.is_ready()

    assert rows[0] == rows[1]


@pytest.mark.parametrize("kill_at", [None, 1, 3], ids=["alive", "killed at first", "killed later"])
def test_an_import_comes_to_the_same_without_its_worker(
    home: Path, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int | None
) -> None:
    other = Path(shutil.copytree(home, tmp_path / "other"))
    monkeypatch.setattr(importing, "ProcessWorkers", InlineWorkers)
    expected, kept = run_import(other, sample)
    monkeypatch.setattr(importing, "ProcessWorkers", ReadyWorkers)

    report, kept_with_worker = run_import(home, sample, kill_at=kill_at)

    assert (report, kept_with_worker) == (expected, kept)
    assert report.tally.added > 100
    assert list_children() == []
