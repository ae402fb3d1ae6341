"""Import, reads inside the custodian, verification of records, and the demo, on the Synthea archive.

Where the archive is not beside the checkout, a synthetic sample of about the same size takes its place,
and the table says so by its unit.
"""

import contextlib
import functools
import itertools
import os
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.harness import Figure, compare, measure_s
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.fhir.resources import compact, read_type
from iamata.intake.limits import Limits
from iamata.intake.progress import Progress
from iamata.intake.sources import Unreadable, read_sources
from iamata.ledger.entries import MemberKind, OwnerKind, Role
from iamata.ledger.transactions.persons import RegisterPerson
from iamata.model.ids import MemberId, PatientId, PersonId
from iamata.node.home import Home, create_home, list_member_folders, open_custody, open_home
from iamata.node.importing import import_files
from iamata.sample.writing import write_sample
from iamata.vault.envelopes import compress, decompress
from iamata.vault.opening import list_facts
from iamata.vault.rows import open_row
from iamata.vault.verification import check_anchors, verify_records
from iamata.workers.mapping import ProcessWorkers
from iamata.workflows import reads, wallets

MEMBER: Final = MemberId("hospital")
ARCHIVE: Final = Path(__file__).parents[2] / "shared/data/synthea/synthea-r4-bundles.tar.xz"
RUNS: Final = 3
READS: Final = 2_000
SAMPLE_PATIENTS: Final = 250
BODY_BYTES_MAX: Final = 16 * 1024 * 1024


class Imported(msgspec.Struct, frozen=True):
    """What one import in a process of its own came to."""

    records: int
    seconds: float
    floor_seconds: float
    peak_mb: float
    """Of the process and of its worker together."""


def measure() -> dict[str, Figure]:
    """Measure everything about records."""
    with tempfile.TemporaryDirectory(prefix="iamata-bench-") as folder:
        source = find_source(Path(folder))
        runs = [import_apart(Path(folder) / f"home-{run}", source) for run in range(RUNS)]
        home = Path(folder) / "home-0"
        middle = sorted(runs, key=lambda one: one.records / one.seconds)[RUNS // 2]
        return {
            "records.import": compare(
                middle.records / middle.seconds, "resources/s", middle.records / middle.floor_seconds
            ),
            "records.import_rss_mb": Figure(value=max(one.peak_mb for one in runs), unit="MB"),
            "verify.records": measure_verification(home),
            **measure_reads(home),
            "demo.wall_s": measure_demo(),
        }


def find_source(folder: Path) -> Path:
    """Return the archive, or a sample in its place."""
    if ARCHIVE.exists():
        return ARCHIVE
    print(f"{ARCHIVE.name} is not here; a sample takes its place", file=sys.stderr)
    write_sample(folder / "sample", seed=1, patients=SAMPLE_PATIENTS, hospitals=1)
    return folder / "sample"


def import_apart(home: Path, source: Path) -> Imported:
    """Import in a process of its own, whose peak memory is nobody else's."""
    done = subprocess.run(  # noqa: S603  our own interpreter and module
        [sys.executable, "-m", "bench.records", str(home), str(source)], capture_output=True, check=True
    )
    return msgspec.json.decode(done.stdout, type=Imported)


def import_here(home: Path, source: Path) -> Imported:
    """Import into a new home: read, resolved, labelled, encrypted, durable, anchored."""
    create_home(home, "bench", [(MEMBER, "Hospital", MemberKind.HOSPITAL)])
    with open_home(home) as opened:
        begun_s = time.perf_counter()
        report = import_files(opened.get_office(MEMBER), [source], progress=Progress(), tell=lambda _: None)
        seconds = time.perf_counter() - begun_s
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Imported(
        records=report.tally.added,
        seconds=seconds,
        floor_seconds=measure_s(lambda: read_only(source)),
        peak_mb=sum(peaks) / 1024,
    )


def read_only(source: Path) -> None:
    """Decompress and parse everything, and do nothing with it: what an import cannot be faster than."""
    for document in read_sources([source], limits=Limits(), progress=Progress()):
        if not isinstance(document, Unreadable):
            read_type(compact(document.stream.read()))


def measure_reads(home: Path) -> dict[str, Figure]:
    """Read single records as staff: decision, durable journal entry, decryption."""
    with open_home(home) as opened:
        person, office = register_clinician(opened), opened.get_office(MEMBER)
        patients = [PatientId(patient) for patient, _ in office.custody.keys.store.read_all() if patient]
        chance = random.Random(1)
        wanted = []
        for patient in chance.sample(patients, min(len(patients), 20)):
            wanted += [(patient, one.facts.record) for one in list_facts(office.custody, patient)[:100]]
        chance.shuffle(wanted)

        def read(patient: PatientId, ref: str) -> None:
            reads.read_records(office, [ref], person=person, patient=patient, purpose="TREAT")

        times = [time_ms(functools.partial(read, patient, ref)) for patient, ref in wanted[:READS]]
    floor = measure_durable_insert_ms(home)
    cuts = statistics.quantiles(times, n=100)
    return {
        "read.p50_ms": compare(cuts[49], "ms", statistics.median(floor)),
        "read.p99_ms": compare(cuts[98], "ms", statistics.quantiles(floor, n=100)[98]),
    }


def register_clinician(home: Home) -> PersonId:
    """Introduce somebody who may read."""
    office = home.get_office(MEMBER)
    person = PersonId(office.author.make_id())
    author = home.author(SigningKey.from_seed(os.urandom(SEED_BYTES)))
    office.author.submit(
        RegisterPerson,
        person=person,
        possession=author.prove_possession(OwnerKind.PERSON, person, member=MEMBER),
        roles=(Role.CLINICIAN,),
        sign_in=wallets.draw_sign_in(author, "bench"),
    )
    return person


def measure_durable_insert_ms(home: Path) -> list[float]:
    """Time a durable insert of 500 bytes into SQLite on the same disk."""
    database = sqlite3.connect(home / "floor.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE floor (entry BLOB)")
    times = [
        time_ms(lambda: database.execute("INSERT INTO floor VALUES (?)", (bytes(500),)))
        for _ in range(READS)
    ]
    database.close()
    return times


def measure_verification(home: Path) -> Figure:
    """Open every record and check it against its commitment and its anchor."""
    folder = next(iter(list_member_folders(home)))
    custody = open_custody(folder, MEMBER)
    rates: list[float] = []
    for _ in range(RUNS):
        begun_s = time.perf_counter()
        with contextlib.closing(ProcessWorkers()) as workers:
            count = sum(1 for _ in verify_records(custody, workers))
            list(check_anchors(custody.records))
        rates.append(count / (time.perf_counter() - begun_s))
    rows = itertools.islice(custody.records.store.read_all(), READS)
    bodies = [open_row(custody, row, body).body for row, body in rows]
    custody.close()
    return compare(statistics.median(rates), "records/s", measure_bare_opening(bodies))


def measure_bare_opening(bodies: list[bytes]) -> float:
    """Decrypt and decompress bodies in memory: what opening cannot be faster than, in one process."""
    cipher, nonce = AESGCM(bytes(32)), bytes(12)
    sealed = [cipher.encrypt(nonce, compress(body), b"") for body in bodies]

    def open_all() -> None:
        for one in sealed:
            decompress(cipher.decrypt(nonce, one, b""), size_bytes_max=BODY_BYTES_MAX)

    return len(sealed) / measure_s(open_all)


def measure_demo() -> Figure:
    """Time the whole demo as its user sees it."""
    command = [sys.executable, "-c", "from iamata.cli.main import main; main()", "demo", "--json"]
    seconds = [
        measure_s(lambda: subprocess.run(command, capture_output=True, check=True))  # noqa: S603  our own
        for _ in range(RUNS)
    ]
    return Figure(value=statistics.median(seconds), unit="s")


def time_ms(work: Callable[[], object]) -> float:
    """Time some work in milliseconds."""
    return measure_s(work) * 1000


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(import_here(Path(sys.argv[1]), Path(sys.argv[2]))))
