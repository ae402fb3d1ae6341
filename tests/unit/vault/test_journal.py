"""The journal: durable, chained, readable by whom it is about, and anchored in batches."""

from pathlib import Path

import msgspec
import pytest

from iamata.crypto.commitments import is_opening
from iamata.model.canonical import encode_struct
from iamata.model.ids import AnchorId, compute_random_id, decode_digest
from iamata.model.reasons import Refused
from iamata.testing.entropy import SeededEntropy
from iamata.testing.vault_samples import ANNA, BORIS, SECRET_WORDS, make_entry, open_home
from iamata.vault.anchoring import is_proven, list_planned, plan_anchor, prove_anchored, settle_anchor
from iamata.vault.custody import Custody
from iamata.vault.journal import (
    PAYLOAD_BYTES_MAX,
    append_entries,
    commit_entry,
    find_entries,
    read_entries,
)
from iamata.vault.verification import verify_journal

ANCHOR = AnchorId(compute_random_id(bytes(16)))


def test_an_entry_is_there_after_the_process_is_gone(home: Path) -> None:
    custody, _ = open_home(home, SeededEntropy("first"))
    appended = append_entries(custody, [make_entry("1"), make_entry("2", patient=BORIS)])

    again, stores = open_home(home, SeededEntropy("second"))

    assert list(read_entries(again, ANNA)) == appended[:1]
    assert find_entries(again, appended[1].header.id) == appended[1:]
    stores.close()


def test_every_entry_names_the_one_before(custody: Custody) -> None:
    entries = append_entries(custody, [make_entry(str(number)) for number in range(3)])
    entries += append_entries(custody, [make_entry("3")])

    previous = [entry.header.previous for entry in entries]

    assert previous[1:] == [entry.commitment for entry in entries[:-1]]
    assert list(verify_journal(custody)) == entries


def test_the_file_says_neither_what_happened_nor_to_what(custody: Custody, home: Path) -> None:
    append_entries(custody, [make_entry("1")])

    for path in (home / "journal").iterdir():
        assert SECRET_WORDS not in path.read_bytes()


def test_whoever_it_is_about_can_check_an_entry_alone(custody: Custody) -> None:
    entry = append_entries(custody, [make_entry(str(number)) for number in range(9)])[4]
    anchor = plan_anchor(custody.journal, ANCHOR)
    assert anchor is not None

    proof = prove_anchored(custody.journal, entry.header.sequence)

    said = encode_struct(entry.header) + b"\n" + entry.payload
    assert is_opening(entry.commitment, "journal", entry.salt, said)
    assert is_proven(proof, decode_digest(entry.commitment), root=anchor.root)
    other = commit_entry(msgspec.structs.replace(entry, payload=b"another story"))
    assert not is_proven(proof, decode_digest(other), root=anchor.root)


def test_an_anchor_survives_a_crash_before_it_is_settled(home: Path) -> None:
    custody, stores = open_home(home, SeededEntropy("first"))
    append_entries(custody, [make_entry("1")])
    planned = plan_anchor(custody.journal, ANCHOR)
    stores.close()

    custody, stores = open_home(home, SeededEntropy("second"))

    assert list_planned(custody.journal) == [planned]
    assert planned is not None
    settle_anchor(custody.journal, planned)
    assert list_planned(custody.journal) == []
    assert plan_anchor(custody.journal, ANCHOR) is None
    stores.close()


def test_anchors_follow_each_other_without_gap_or_overlap(custody: Custody) -> None:
    append_entries(custody, [make_entry(str(number)) for number in range(10)])

    anchors = [
        plan_anchor(custody.journal, AnchorId(compute_random_id(bytes([number] * 16))), leaves_max=4)
        for number in range(4)
    ]

    stretches = [(one.after, one.last, one.count) for one in anchors if one]
    assert stretches == [(0, 4, 4), (4, 8, 4), (8, 10, 2)]
    assert anchors[3] is None


def test_what_no_anchor_covers_has_no_proof(custody: Custody) -> None:
    append_entries(custody, [make_entry("1")])

    with pytest.raises(Refused, match="NOT_FOUND"):
        prove_anchored(custody.journal, 1)


def test_an_oversized_entry_is_refused_with_its_batch(custody: Custody) -> None:
    large = msgspec.structs.replace(make_entry("2"), payload=bytes(PAYLOAD_BYTES_MAX + 1))

    with pytest.raises(Refused, match="INPUT_TOO_LARGE"):
        append_entries(custody, [make_entry("1"), large])

    assert list(verify_journal(custody)) == []


def test_a_list_of_25_000_records_fits_into_an_entry_and_its_row_stays_small(custody: Custody) -> None:
    listed = [f"Observation/{compute_random_id(number.to_bytes(16, 'big'))}" for number in range(25_000)]
    long = msgspec.structs.replace(make_entry("1"), payload=msgspec.json.encode(listed))

    append_entries(custody, [long])

    (entry,) = read_entries(custody, ANNA)
    assert entry.payload == long.payload
    (row,) = custody.journal.store.read_all()
    assert len(row.sealed) < len(long.payload) // 2
    assert len(long.payload) > 1_000_000
