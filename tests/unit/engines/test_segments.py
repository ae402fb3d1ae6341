"""Segments keep what is live, whatever was overwritten, and never grow without bound."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.engines.keeping.segments import (
    GARBAGE_FREE,
    SegmentIndex,
    decode_segment,
    encode_segment,
)

ENTRIES = st.dictionaries(st.binary(max_size=40), st.binary(max_size=300), max_size=20)


@given(ENTRIES)
def test_segment_reads_back_as_it_was_written(entries: dict[bytes, bytes]) -> None:
    assert decode_segment(encode_segment(entries)) == entries


@given(ENTRIES.filter(bool), st.data())
def test_cut_segment_is_never_taken_for_a_whole_one(
    entries: dict[bytes, bytes], data: st.DataObject
) -> None:
    blob = encode_segment(entries)
    cut = blob[: data.draw(st.integers(1, len(blob) - 1))]

    try:
        assert len(decode_segment(cut)) < len(entries)  # cut between two entries
    except ValueError as error:
        assert "ends in the middle" in str(error)


def test_collection_keeps_every_live_value_and_bounds_the_garbage() -> None:
    chance, index = random.Random(3), SegmentIndex()
    stored: dict[int, bytes] = {}
    live: dict[bytes, bytes] = {}

    for height in range(1, 400):
        fresh = {b"%d" % chance.randrange(3_000): b"%d" % height for _ in range(200)}
        segment = index.plan(height, fresh, stored.__getitem__)
        index.add(segment)
        stored[height] = encode_segment(segment.entries)
        for emptied in segment.emptied:
            del stored[emptied]
        live |= fresh

    read: dict[bytes, bytes] = {}
    for height in sorted(stored):
        read |= decode_segment(stored[height])
    assert read == live
    assert sum(len(decode_segment(blob)) for blob in stored.values()) < 2 * len(live) + GARBAGE_FREE + 1_000


def test_plan_that_is_not_carried_out_changes_nothing() -> None:
    index = SegmentIndex()
    stored: dict[int, bytes] = {}
    for height in range(GARBAGE_FREE // 100 + 20):
        segment = index.plan(height, {b"%d" % at: b"" for at in range(100)}, stored.__getitem__)
        index.add(segment)
        stored[height] = encode_segment(segment.entries)

    first = index.plan(999, {b"new": b"1"}, stored.__getitem__)
    second = index.plan(999, {b"new": b"1"}, stored.__getitem__)

    assert first == second


def test_value_longer_than_its_segment_is_refused() -> None:
    with pytest.raises(ValueError, match="ends in the middle"):
        decode_segment(b"\x00\x01\xff\xff\xff\xffk")
