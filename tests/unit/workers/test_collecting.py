"""The collector rests while much is read, and works again as before."""

import gc

import pytest

from iamata.workers.collecting import OBJECTS_BETWEEN, collecting_rarely


def test_the_collector_works_again_as_before() -> None:
    before = gc.get_threshold()

    with collecting_rarely():
        during = gc.get_threshold()

    assert during == (OBJECTS_BETWEEN, *before[1:])
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_a_failure_leaves_no_tired_collector() -> None:
    before = gc.get_threshold()

    with pytest.raises(ValueError, match="invalid literal"), collecting_rarely():
        int("read")

    assert gc.get_threshold() == before


def test_circles_do_not_pile_up() -> None:
    with collecting_rarely():
        for _ in range(3 * OBJECTS_BETWEEN):
            circle: list[object] = []
            circle.append(circle)

        assert gc.get_count()[0] <= OBJECTS_BETWEEN
