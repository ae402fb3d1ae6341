"""Files of a home: private, closed to a wrong key, and never half-written."""

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iamata.model.ids import MemberId
from iamata.model.reasons import Refused
from iamata.stores.key_holders import LocalKeyHolder
from iamata.testing.entropy import SeededEntropy, derive_bytes
from iamata.testing.vault_samples import ANNA, BORIS, KEK, MEMBER, make_entry, make_record, open_home
from iamata.vault.custody import Custody
from iamata.vault.journal import append_entries
from iamata.vault.record import PreparedRecord
from iamata.vault.sealing import seal
from iamata.vault.verification import verify_journal, verify_keys, verify_records
from iamata.workers.mapping import InlineWorkers

UNIT = 7
KILLS = 6

IMPORTER = """
import os, sys
from pathlib import Path
from iamata.testing.vault_samples import make_entry, make_record, open_home
from iamata.vault.journal import append_entries
from iamata.vault.sealing import seal
custody, _ = open_home(Path(sys.argv[1]), os.urandom)
for batch in range(1_000_000):
    names = [f"{sys.argv[2]}-{batch}-{number}" for number in range(7)]
    seal(custody, [[make_record(name) for name in names]])
    append_entries(custody, [make_entry(names[0])])
    print(batch + 1, flush=True)
"""


def make_unit(name: str) -> list[PreparedRecord]:
    return [make_record(f"{name}-{number}") for number in range(UNIT)]


def test_every_file_and_folder_is_for_its_owner_alone(custody: Custody, home: Path) -> None:
    seal(custody, [make_unit("a")])
    append_entries(custody, [make_entry("1")])

    files = [path for path in home.rglob("*") if path.is_file()]

    assert {path.name for path in files} >= {"records.db", "wrapped.db", "journal.db", "openings.db"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE((home / name).stat().st_mode) for name in ("vault", "keys", "journal")} == {0o700}


def test_wrapped_keys_have_no_write_ahead_log(custody: Custody, home: Path) -> None:
    seal(custody, [make_unit("a")])

    lingering = [path for path in (home / "keys").iterdir() if path.name != "wrapped.db"]

    assert all(path.stat().st_size == 0 for path in lingering)


def test_a_killed_import_leaves_whole_units_and_everything_it_had_reported(home: Path) -> None:
    reported = 0
    for attempt in range(KILLS):
        process = subprocess.Popen(  # noqa: S603  our own interpreter and script
            [sys.executable, "-c", IMPORTER, str(home), f"r{attempt}"],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.05 + 0.03 * attempt)
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        complete = [line for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
        reported += int(complete[-1])

        custody, stores = open_home(home, os.urandom)
        kept = len(list(verify_records(custody, InlineWorkers())))
        entries = len(list(verify_journal(custody)))
        verify_keys(custody)
        stores.close()

        assert kept % UNIT == 0
        assert reported <= entries <= kept // UNIT <= entries + attempt + 1
        reported = entries


def test_a_full_disk_is_refused_and_leaves_nothing_half_done(custody: Custody) -> None:
    seal(custody, [make_unit("before")])
    texts = [os.urandom(200_000).hex().encode("ascii") for _ in range(20)]
    large = [make_record(f"large-{number}", text=text) for number, text in enumerate(texts)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(Refused, match="STORAGE_FULL"):
            seal(custody, [large])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)

    assert len(list(verify_records(custody, InlineWorkers()))) == UNIT
    assert seal(custody, [large]).added == len(large)


def test_a_home_without_its_keys_opens_nothing(home: Path) -> None:
    custody, stores = open_home(home, SeededEntropy("first"))
    seal(custody, [make_unit("a")])
    stores.close()
    (home / "keys" / "wrapped.db").unlink()

    custody, stores = open_home(home, SeededEntropy("second"))

    with pytest.raises(Refused, match="ERASED"):
        list(verify_records(custody, InlineWorkers()))
    stores.close()


def test_a_wrapped_key_opens_for_its_member_and_patient_alone() -> None:
    holder = LocalKeyHolder(KEK, member=MEMBER)
    wrapped = holder.wrap(bytes(32), patient=ANNA, nonce=derive_bytes("nonce", length=12))

    assert holder.unwrap(wrapped, patient=ANNA) == bytes(32)
    for other, patient in (
        (holder, BORIS),
        (LocalKeyHolder(KEK, member=MemberId("other")), ANNA),
        (LocalKeyHolder(bytes(32), member=MEMBER), ANNA),
    ):
        with pytest.raises(Refused, match="CANNOT_OPEN"):
            other.unwrap(wrapped, patient=patient)


def test_a_key_holder_shows_no_key_and_refuses_a_short_one() -> None:
    holder = LocalKeyHolder(KEK, member=MEMBER)

    assert repr(holder) == "LocalKeyHolder(st-marien)"
    assert holder.derive("index") != holder.derive("journal")
    with pytest.raises(Refused, match="INPUT_INVALID"):
        LocalKeyHolder(KEK[:-1], member=MEMBER)
