"""A node builds a dataset once however often it is asked, and whoever waits hears what came of it."""

import threading
import time
from collections.abc import Iterator
from typing import Final

import msgspec
import pytest

from iamata.duties.building import BUILDS_AT_ONCE_MAX, BUILDS_KEPT_MAX, Builds
from iamata.duties.learning import LearningDuty
from iamata.model.ids import DatasetId, StudyId
from iamata.model.reasons import Reason, Refused
from iamata.node.desks import LocalDesk
from iamata.testing.cohorts import COHORT, keep_records
from iamata.testing.learning import HEALTH, SITES, StudyWorld
from iamata.vault.journal import read_entries
from iamata.workflows.lineages import get_dataset

SITE: Final = SITES[0]
JUDGED: Final = msgspec.structs.replace(HEALTH, is_judged=True)


class Slow:
    """Builds whose work ends when it is let go."""

    def __init__(self) -> None:
        self.builds = Builds()
        self.done: list[DatasetId] = []
        self.go = threading.Event()
        self.retired: list[DatasetId] = []

    def begin(self, number: int, *, study: int | None = None, is_judged: bool = False) -> DatasetId:
        """Begin to build a dataset of this number, for the study of that number unless told."""
        dataset = DatasetId(f"dataset-{number}")

        def work() -> None:
            assert self.go.wait(30)
            self.done.append(dataset)
            if number < 0:
                raise Refused(Reason.TOO_FEW_PATIENTS)

        asked = StudyId(f"study-{number if study is None else study}")
        conditions = JUDGED if is_judged else HEALTH
        return self.builds.begin(
            asked,
            conditions,
            dataset,
            check=lambda: None,
            is_standing=lambda one: one not in self.retired,
            work=work,
        )

    def await_built(self, dataset: DatasetId) -> bool:
        """Let all go, and wait until a dataset is built."""
        self.go.set()
        return await_built(self.builds, dataset)


def await_built(builds: Builds | LearningDuty, dataset: DatasetId) -> bool:
    for _ in range(3_000):
        if builds.is_built(dataset):
            return True
        time.sleep(0.01)
    return False


def refuse(act: object) -> Reason:
    assert callable(act)
    with pytest.raises(Refused) as refused:
        act()
    return refused.value.reason


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.go.set()


def test_asked_again_it_is_the_same_dataset_until_somebody_has_heard_of_it(slow: Slow) -> None:
    first = slow.begin(1)
    same = slow.begin(2, study=1)
    assert not slow.builds.is_built(first)
    slow.go.set()
    while len(slow.done) < 1:
        time.sleep(0.01)
    same_too = slow.begin(3, study=1)  # it may be built by now, but nobody has heard of it

    assert slow.await_built(first)
    assert slow.builds.is_built(first)  # an answer that was lost is given again
    other = slow.begin(4, study=1)

    assert first == same == same_too
    assert other == "dataset-4"
    assert slow.await_built(other)
    assert slow.done == [first, other]


def test_what_was_built_unheard_and_retired_since_is_built_anew(slow: Slow) -> None:
    slow.go.set()
    first = slow.begin(1)
    slow.retired.append(first)
    while (second := slow.begin(2, study=1)) == first:  # as long as it is being built
        time.sleep(0.01)

    assert second == "dataset-2"
    assert slow.await_built(second)


def test_so_many_are_built_at_a_time_and_one_of_a_study(slow: Slow) -> None:
    begun = [slow.begin(number) for number in range(BUILDS_AT_ONCE_MAX)]

    assert refuse(lambda: slow.begin(100)) is Reason.TOO_BUSY
    slow_too = Slow()
    slow_too.begin(1)
    assert refuse(lambda: slow_too.begin(2, study=1, is_judged=True)) is Reason.TOO_BUSY
    slow_too.go.set()

    assert all(slow.await_built(one) for one in begun)
    assert slow.await_built(slow.begin(100))


def test_what_nothing_came_of_is_said_to_who_waits_and_begun_anew_for_who_asks(slow: Slow) -> None:
    failed = slow.begin(-1)

    assert refuse(lambda: slow.await_built(failed)) is Reason.TOO_FEW_PATIENTS
    assert refuse(lambda: slow.builds.is_built(failed)) is Reason.TOO_FEW_PATIENTS
    again = slow.begin(2, study=-1)

    assert again != failed
    assert slow.await_built(again)


def test_the_newest_builds_are_remembered_and_no_more(slow: Slow) -> None:
    slow.go.set()
    for number in range(BUILDS_KEPT_MAX + 1):
        assert slow.await_built(slow.begin(number))

    assert refuse(lambda: slow.builds.is_built(DatasetId("dataset-0"))) is Reason.UNKNOWN_DATASET
    assert slow.builds.is_built(DatasetId("dataset-1"))


def test_a_node_reads_its_vault_once_for_a_dataset_that_is_asked_for_twice() -> None:
    world = StudyWorld(patients=14, protocol=COHORT)
    office = world.offices[SITE]
    keep_records(office, world.rows[SITE])
    duty = LearningDuty(office, lambda _: LocalDesk(office))

    dataset = duty.build(world.study, HEALTH)
    same = duty.build(world.study, HEALTH)
    assert await_built(duty, dataset)

    assert same == dataset
    assert get_dataset(office.take_view(), dataset).custodian == SITE
    for patient in world.rows[SITE]:
        assert len(list(read_entries(office.custody, patient))) == 2  # the records, and the row
    assert refuse(lambda: duty.build(world.study, HEALTH)) is Reason.DATASET_NOT_ACTIVE
    assert refuse(lambda: duty.is_built(DatasetId("nothing"))) is Reason.UNKNOWN_DATASET
