"""Frames: whole messages out of bytes that come in any portions, and nothing out of garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.engines.comet.framing import FrameReader, FramingError, write_frame


@given(st.lists(st.binary(max_size=400), max_size=8), st.lists(st.integers(1, 60), max_size=60))
def test_frames_come_whole_however_their_bytes_are_portioned(
    messages: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(map(write_frame, messages))
    reader, found = FrameReader(), []
    for cut in [*cuts, len(data) or 1]:
        found += reader.feed(data[:cut])
        data = data[cut:]
    found += reader.feed(data)

    assert found == messages
    assert reader.is_between_frames


@pytest.mark.parametrize(("size", "head"), [(0, "00"), (127, "7f"), (128, "8001"), (2_515_042, "e2c09901")])
def test_lengths_are_spelled_as_cometbft_spells_them(size: int, head: str) -> None:
    assert write_frame(bytes(size))[: len(head) // 2].hex() == head


def test_a_length_that_is_cut_off_waits_for_its_rest() -> None:
    reader = FrameReader()

    assert reader.feed(b"\x80") == []
    assert not reader.is_between_frames
    assert reader.feed(b"\x01" + bytes(128)) == [bytes(128)]


@pytest.mark.parametrize("data", [b"\xff" * 5, b"\x80" * 9, b"\xff\xff\xff\xff\x0f"])
def test_a_length_beyond_all_limits_is_refused_before_anything_is_kept(data: bytes) -> None:
    with pytest.raises(FramingError):
        FrameReader().feed(data)


def test_a_frame_beyond_the_limit_is_refused() -> None:
    with pytest.raises(FramingError, match="101 bytes, where 100"):
        FrameReader(100).feed(write_frame(bytes(101)))
