"""One contract for every store: the file and its double in memory must not be told apart."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from iamata.model.ids import AccessId, AnchorId, compute_random_id
from iamata.model.reasons import Refused
from iamata.ports import Anchor, JournalRow, KnownRecord, OpeningRow, RecordRow, SequencedCommitment
from iamata.stores.memory.home import make_member_stores
from iamata.stores.sqlite.home import open_member_stores
from iamata.vault.custody import MemberStores

IDS = [compute_random_id(bytes([number] * 16)) for number in range(4)]


@pytest.fixture(params=["sqlite", "memory"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemberStores]:
    """Open the stores of a member, on disk or in memory."""
    opened = open_member_stores(tmp_path) if request.param == "sqlite" else make_member_stores()
    yield opened
    opened.close()


def make_row(sequence: int, *, patient: str = "anna", name: str = "", version: int = 1) -> RecordRow:
    return RecordRow(
        sequence=sequence,
        patient=patient,
        lookup=(name or f"record-{sequence}").encode("ascii"),
        version=version,
        fingerprint=f"print-{sequence}".encode("ascii"),
        commitment=f"commitment-{sequence}".encode("ascii"),
        facts=b"facts",
    )


def make_entry(sequence: int, *, patient: str = "anna", entry_id: str = IDS[0]) -> JournalRow:
    commitment = f"commitment-{sequence}".encode("ascii")
    return JournalRow(sequence, "read", patient, AccessId(entry_id), commitment, b"sealed")


def list_commitments(stores: MemberStores, after: int, last: int) -> list[int]:
    return [one.sequence for one in stores.records.read_commitments(after=after, last=last)]


class TestRecords:
    def test_a_new_store_is_empty(self, stores: MemberStores) -> None:
        store = stores.records

        assert store.read_head() is None
        assert list(store.read_all()) == []
        assert store.find_newest(b"nothing", "anna") is None
        assert store.find_anchor(1) is None

    def test_rows_bodies_tokens_and_head_go_in_together(self, stores: MemberStores) -> None:
        store, rows = stores.records, [make_row(1), make_row(2, patient="boris")]

        store.add([(rows[0], b"one"), (rows[1], b"two")], [(b"token", 2), (b"token", 1)], head=b"head")

        assert store.read_head() == b"head"
        assert list(store.read_all()) == [(rows[0], b"one"), (rows[1], b"two")]
        assert store.read_body(2) == b"two"
        assert store.read_bodies([2, 1]) == {1: b"one", 2: b"two"}
        assert list(store.read_of_patient("boris")) == [rows[1]]
        assert list(store.read_tokens()) == [(b"token", 1), (b"token", 2)]

    @pytest.mark.parametrize(
        ("row", "token"),
        [
            (make_row(1, name="other"), (b"new", 9)),
            (make_row(2, name="record-1"), (b"new", 9)),
            (make_row(2), (b"token", 1)),
        ],
    )
    def test_a_row_that_is_there_is_refused_with_its_whole_batch(
        self, stores: MemberStores, row: RecordRow, token: tuple[bytes, int]
    ) -> None:
        store = stores.records
        store.add([(make_row(1), b"one")], [(b"token", 1)], head=b"first")

        with pytest.raises(Refused, match="HOME_CORRUPT"):
            store.add([(make_row(5), b"five"), (row, b"")], [token], head=b"second")

        assert store.read_head() == b"first"
        assert list(store.read_all()) == [(make_row(1), b"one")]
        assert list(store.read_tokens()) == [(b"token", 1)]

    def test_versions_of_a_record_are_told_apart(self, stores: MemberStores) -> None:
        store, rows = stores.records, [make_row(number, name="r", version=number) for number in (1, 2)]
        store.add([(row, b"") for row in rows], [(b"old", 1), (b"new", 2)], head=b"")

        assert store.find_newest(b"r", "anna") == rows[1]
        assert store.find_version(b"r", 1, "anna") == rows[0]
        assert store.find_version(b"r", 3, "anna") is None
        assert store.read_known([b"r", b"none"]) == {
            b"r": KnownRecord(("anna",), 2, (b"print-1", b"print-2"))
        }
        assert (store.find_by_token(b"old"), store.find_by_token(b"new")) == ([], [rows[1]])

    def test_each_patient_of_a_record_has_rows_of_their_own(self, stores: MemberStores) -> None:
        store = stores.records
        rows = [
            make_row(sequence, name="r", version=version, patient=patient)
            for sequence, (version, patient) in enumerate(
                [(1, "boris"), (1, "anna"), (2, "anna"), (2, "boris")], start=1
            )
        ]
        store.add([(row, b"") for row in rows], [(b"token", 3), (b"token", 4)], head=b"")

        known = store.read_known([b"r"])[b"r"]
        assert (sorted(known.patients), known.version) == (["anna", "boris"], 2)
        assert [store.find_version(b"r", 1, patient) for patient in ("anna", "boris", "carl")] == [
            rows[1],
            rows[0],
            None,
        ]
        store.erase("anna", head=b"")
        assert store.find_newest(b"r", "anna") is None
        assert store.find_newest(b"r", "boris") == rows[3]
        assert store.read_known([b"r"])[b"r"] == KnownRecord(("boris",), 2, (b"print-1", b"print-4"))
        assert store.find_by_token(b"token") == [rows[3]]

    def test_many_lookups_at_once_are_all_answered(self, stores: MemberStores) -> None:
        rows = [make_row(number) for number in range(1, 1_001)]
        stores.records.add([(row, b"") for row in rows], [], head=b"")

        found = stores.records.read_known([row.lookup for row in rows])

        assert found == {row.lookup: KnownRecord(("anna",), 1, (row.fingerprint,)) for row in rows}

    def test_a_missing_body_is_a_fault(self, stores: MemberStores) -> None:
        with pytest.raises(Refused, match="HOME_CORRUPT"):
            stores.records.read_body(7)
        with pytest.raises(Refused, match="HOME_CORRUPT"):
            stores.records.read_bodies([7])

    def test_erasing_leaves_only_commitments_that_an_anchor_needs(self, stores: MemberStores) -> None:
        store = stores.records
        rows = [make_row(1), make_row(2, patient="boris"), make_row(3)]
        store.add([(row, b"") for row in rows], [(b"token", 1), (b"token", 2)], head=b"")
        store.add_anchor(Anchor(AnchorId(IDS[0]), 0, 2, b"root", 2), head=b"")

        store.erase("anna", head=b"erased")

        assert store.read_head() == b"erased"
        assert [row for row, _ in store.read_all()] == [rows[1]]
        assert list(store.read_tokens()) == [(b"token", 2)]
        assert list(store.read_erased()) == [SequencedCommitment(1, b"commitment-1")]
        assert list_commitments(stores, 0, 3) == [1, 2]


class TestAnchors:
    def test_a_stretch_is_read_in_order_without_its_start(self, stores: MemberStores) -> None:
        stores.records.add([(make_row(number), b"") for number in (3, 1, 2, 4)], [], head=b"")

        assert list_commitments(stores, 1, 3) == [2, 3]

    def test_anchors_are_found_by_what_they_cover(self, stores: MemberStores) -> None:
        first, second = (
            Anchor(AnchorId(IDS[0]), 0, 4, b"root", 4),
            Anchor(AnchorId(IDS[1]), 4, 6, b"root", 2),
        )
        for store in (stores.records, stores.journal):
            store.add_anchor(first, head=b"one")
            store.add_anchor(second, head=b"two")

            assert [store.find_anchor(number) for number in (1, 4, 5, 7)] == [first, first, second, None]
            assert list(store.read_anchors()) == [first, second]
            assert list(store.read_anchors(after=4)) == [second]
            assert store.read_head() == b"two"

    def test_an_anchor_is_written_once(self, stores: MemberStores) -> None:
        anchor = Anchor(AnchorId(IDS[0]), 0, 4, b"root", 4)
        stores.journal.add_anchor(anchor, head=b"one")

        with pytest.raises(Refused, match="HOME_CORRUPT"):
            stores.journal.add_anchor(anchor, head=b"two")

        assert stores.journal.read_head() == b"one"

    def test_the_head_alone_can_change(self, stores: MemberStores) -> None:
        stores.records.write_head(b"settled")

        assert stores.records.read_head() == b"settled"


class TestJournal:
    def test_entries_are_read_in_order_by_patient_and_by_access(self, stores: MemberStores) -> None:
        rows = [make_entry(1), make_entry(2, patient="boris", entry_id=IDS[1]), make_entry(3)]
        stores.journal.append(rows, head=b"head")

        assert list(stores.journal.read_all()) == rows
        assert list(stores.journal.read_of_patient("anna")) == [rows[0], rows[2]]
        assert stores.journal.find(AccessId(IDS[1])) == [rows[1]]
        assert stores.journal.read_head() == b"head"

    def test_what_left_late_is_found_among_everything_else(self, stores: MemberStores) -> None:
        late = [msgspec.structs.replace(make_entry(number), kind="late") for number in (2, 4)]
        stores.journal.append([make_entry(1), late[0], make_entry(3), late[1]], head=b"head")

        assert list(stores.journal.read_late()) == late

    def test_no_entry_is_overwritten(self, stores: MemberStores) -> None:
        stores.journal.append([make_entry(1)], head=b"first")

        with pytest.raises(Refused, match="HOME_CORRUPT"):
            stores.journal.append([make_entry(2), make_entry(1, patient="boris")], head=b"second")

        assert list(stores.journal.read_all()) == [make_entry(1)]
        assert stores.journal.read_head() == b"first"


class TestKeys:
    def test_a_key_is_found_until_it_is_erased(self, stores: MemberStores) -> None:
        stores.keys.add({"boris": b"b", "anna": b"a"}, head=b"added")
        assert list(stores.keys.read_all()) == [("anna", b"a"), ("boris", b"b")]

        stores.keys.erase("anna", head=b"erased")

        assert (stores.keys.find("anna"), stores.keys.find("boris")) == (None, b"b")
        assert stores.keys.read_head() == b"erased"

    def test_no_key_is_overwritten(self, stores: MemberStores) -> None:
        stores.keys.add({"anna": b"a"}, head=b"first")

        with pytest.raises(Refused, match="HOME_CORRUPT"):
            stores.keys.add({"carla": b"c", "anna": b"x"}, head=b"second")

        assert list(stores.keys.read_all()) == [("anna", b"a")]
        assert stores.keys.read_head() == b"first"


class TestOpenings:
    def test_openings_are_found_by_name_and_patient_until_they_are_erased(
        self, stores: MemberStores
    ) -> None:
        owners = [("a", "anna"), ("b", "boris"), ("c", "anna")]
        rows = [OpeningRow(name, patient, name.encode("ascii")) for name, patient in owners]
        for row in rows:
            stores.openings.add([row], head=row.sealed)

        assert stores.openings.find("b") == rows[1]
        assert list(stores.openings.read_of_patient("anna")) == [rows[0], rows[2]]
        stores.openings.erase("anna", head=b"erased")
        assert list(stores.openings.read_all()) == [rows[1]]
        assert stores.openings.read_head() == b"erased"

    def test_no_opening_is_overwritten(self, stores: MemberStores) -> None:
        stores.openings.add([OpeningRow("a", "anna", b"1")], head=b"first")

        with pytest.raises(Refused, match="HOME_CORRUPT"):
            stores.openings.add([OpeningRow("a", "anna", b"2")], head=b"second")

        assert stores.openings.find("a") == OpeningRow("a", "anna", b"1")
