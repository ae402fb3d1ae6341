"""What is erased is gone: from files, from memory, and from backups as soon as they are restored."""

import shutil
from pathlib import Path

import pytest

from iamata.model.ids import AnchorId, compute_random_id
from iamata.model.reasons import Refused
from iamata.ports import NO_PATIENT
from iamata.stores.key_holders import LocalKeyHolder
from iamata.testing.entropy import SeededEntropy
from iamata.testing.vault_samples import (
    ANNA,
    BORIS,
    KEK,
    MEMBER,
    SECRET_WORDS,
    make_entry,
    make_opening,
    make_record,
    open_home,
    permit_all,
)
from iamata.vault.anchoring import is_proven, plan_anchor, prove_anchored
from iamata.vault.custody import Custody
from iamata.vault.journal import append_entries
from iamata.vault.opening import list_facts, open_records
from iamata.vault.openings import find_opening, keep_opening, list_openings
from iamata.vault.sealing import seal
from iamata.vault.shredding import replay_erasures, shred
from iamata.vault.verification import check_anchors, verify_keys, verify_openings, verify_records
from iamata.workers.mapping import InlineWorkers

ANCHOR = AnchorId(compute_random_id(bytes(16)))


def fill(custody: Custody) -> None:
    """Keep records and openings of two patients, under an anchor, and one more record of each."""
    seal(custody, [[make_record(f"a{number}") for number in range(20)]])
    seal(custody, [[make_record(f"b{number}", patient=BORIS) for number in range(20)]])
    plan_anchor(custody.records, ANCHOR)
    seal(custody, [[make_record("a-late"), make_record("b-late", patient=BORIS)]])
    keep_opening(custody, make_opening("consent-a"))
    keep_opening(custody, make_opening("consent-b", patient=BORIS))


def read_files(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


def is_whole(custody: Custody) -> bool:
    """Run every check of a verifier over what a shredding touches."""
    list(verify_records(custody, InlineWorkers()))
    list(verify_openings(custody))
    list(check_anchors(custody.records))
    return verify_keys(custody) >= 0


def test_after_shredding_no_file_holds_key_wrapped_key_or_text(custody: Custody, home: Path) -> None:
    fill(custody)
    append_entries(custody, [make_entry("1")])
    wrapped = custody.keys.store.find(ANNA)
    assert wrapped is not None
    key = LocalKeyHolder(KEK, member=MEMBER).unwrap(wrapped, patient=ANNA)
    sealed = next(row for row in custody.records.store.read_of_patient(ANNA))
    before = read_files(home)
    assert any(wrapped in content for content in before.values())

    shred(custody, ANNA)

    for name, content in read_files(home).items():
        for secret in (key, wrapped, wrapped[12:], KEK, SECRET_WORDS, sealed.facts):
            assert secret not in content, name


def test_shredding_returns_every_commitment_for_the_statement(custody: Custody) -> None:
    fill(custody)
    commitments = tuple(one.commitment for one in list_facts(custody, ANNA))

    shredded = shred(custody, ANNA)

    assert shredded.commitments == commitments
    assert (shredded.records, shredded.openings, shredded.had_key) == (21, 1, True)


def test_others_keep_everything_and_every_check_still_passes(custody: Custody) -> None:
    fill(custody)

    shred(custody, ANNA)

    listed = list_facts(custody, BORIS)
    assert len(list(open_records(custody, permit_all(listed, patient=BORIS), listed))) == 21
    assert find_opening(custody, "consent-b") is not None
    assert is_whole(custody)


def test_the_anchor_still_proves_the_records_of_others(custody: Custody) -> None:
    fill(custody)
    (anchor, _), *_ = check_anchors(custody.records)
    row = next(custody.records.store.read_of_patient(BORIS))

    shred(custody, ANNA)

    assert is_proven(prove_anchored(custody.records, row.sequence), row.commitment, root=anchor.root)


def test_nothing_of_an_erased_patient_opens_or_lists(custody: Custody) -> None:
    fill(custody)
    listed = list_facts(custody, ANNA)

    shred(custody, ANNA)

    assert list_facts(custody, ANNA) == []
    assert list(list_openings(custody, ANNA)) == []
    with pytest.raises(Refused, match="NOT_FOUND"):
        open_records(custody, permit_all(listed), listed)


def test_shredding_twice_destroys_nothing_more(custody: Custody) -> None:
    fill(custody)
    shred(custody, ANNA)

    again = shred(custody, ANNA)

    assert (again.records, again.openings, again.had_key) == (0, 0, False)
    assert is_whole(custody)


def test_a_shredding_that_stopped_after_the_key_is_finished_by_the_next(custody: Custody) -> None:
    fill(custody)
    custody.destroy_data_key(ANNA)

    shredded = shred(custody, ANNA)

    assert (shredded.records, shredded.openings, shredded.had_key) == (21, 1, False)
    assert is_whole(custody)


def test_records_without_a_patient_are_not_shredded(custody: Custody) -> None:
    with pytest.raises(Refused, match="UNKNOWN_PATIENT"):
        shred(custody, NO_PATIENT)


def test_a_restored_backup_is_shredded_again_before_it_serves(home: Path, tmp_path: Path) -> None:
    custody, stores = open_home(home, SeededEntropy("before"))
    fill(custody)
    stores.close()
    shutil.copytree(home, tmp_path / "backup")
    custody, stores = open_home(home, SeededEntropy("after"))
    shred(custody, ANNA)
    stores.close()
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "backup", home)

    custody, stores = open_home(home, SeededEntropy("restored"))
    again = replay_erasures(custody, [ANNA])

    assert [(one.patient, one.records, one.had_key) for one in again] == [(ANNA, 21, True)]
    assert list_facts(custody, ANNA) == []
    assert is_whole(custody)
    assert replay_erasures(custody, [ANNA]) == []
    stores.close()


def test_an_older_backup_of_records_alone_opens_nothing_of_the_erased(home: Path, tmp_path: Path) -> None:
    custody, stores = open_home(home, SeededEntropy("before"))
    fill(custody)
    stores.close()
    shutil.copytree(home / "vault", tmp_path / "backup")
    custody, stores = open_home(home, SeededEntropy("after"))
    shred(custody, ANNA)
    stores.close()
    shutil.rmtree(home / "vault")
    shutil.copytree(tmp_path / "backup", home / "vault")

    custody, stores = open_home(home, SeededEntropy("restored"))

    with pytest.raises(Refused, match="ERASED"):
        list_facts(custody, ANNA)
    assert replay_erasures(custody, [ANNA])[0].records == 21
    assert is_whole(custody)
    stores.close()


def test_the_copy_of_another_patient_outlives_an_erasure(custody: Custody) -> None:
    fill(custody)
    seal(custody, [[make_record("both", others=(BORIS,))]])
    seal(custody, [[make_record("both-late", others=(BORIS,))]])

    shredded = shred(custody, ANNA)

    assert shredded.records == 23
    kept = [one.facts.record for one in list_facts(custody, BORIS)]
    assert kept[-2:] == ["Observation/both", "Observation/both-late"]
    assert is_whole(custody)
