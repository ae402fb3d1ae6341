"""Types that several threads read for the first time."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from iamata.wire.decoding import get_decoder

SLOW_S: Final = 0.2


def look_up_slowly() -> type[int]:
    """Take as long to look up as a type does on a busy machine."""
    time.sleep(SLOW_S)
    return int


class Inner(msgspec.Struct):
    """A part whose field is looked up slowly."""

    count: "look_up_slowly()"  # type: ignore[valid-type]


class Outer(msgspec.Struct):
    """What two threads read."""

    inner: Inner


def test_a_type_may_be_read_first_by_several_threads_at_once() -> None:
    def read(delay_s: float) -> Any:
        time.sleep(delay_s)
        return get_decoder(Outer).decode(b'{"inner":{"count":1}}')

    with ThreadPoolExecutor() as pool:
        read_by_each = list(pool.map(read, (0, SLOW_S / 2)))

    assert read_by_each == [Outer(Inner(1)), Outer(Inner(1))]
