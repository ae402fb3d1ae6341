"""Who watches a run hears one step at a time, and cannot stop it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from iamata.model.ids import MemberId
from iamata.node.steps import Step, watching
from iamata.workflows.run_rounds import Round

NORTH = MemberId("north")


def test_a_step_says_what_a_site_does() -> None:
    summing = Step(site=NORTH, round=Round(number=3, query="training/newton", values=1_234))
    carried = Step(site=NORTH, round=Round(number=3, query="", values=12))

    assert str(carried) == "north, round 3: 12 values"
    assert str(Step(site=NORTH)) == "north takes part"
    assert str(summing) == "north, round 3: training/newton, 1,234 values"
    assert str(Step(site=NORTH, is_done=True)) == "north is done"


def test_steps_of_several_threads_are_heard_one_at_a_time() -> None:
    inside, most = threading.Semaphore(), []

    def tell(_: Step) -> None:
        most.append(inside.acquire(blocking=False))
        time.sleep(0.001)
        inside.release()

    with watching(tell) as hear, ThreadPoolExecutor(4) as pool:
        list(pool.map(hear, [Step(site=NORTH)] * 20))

    assert most == [True] * 20


def test_a_watcher_that_fails_hears_no_more_and_is_told_when_all_is_over() -> None:
    heard = []

    def tell(step: Step) -> None:
        heard.append(step)
        message = "no such key"
        raise KeyError(message)

    def run() -> None:
        with watching(tell) as hear:
            hear(Step(site=NORTH))
            hear(Step(site=NORTH, is_done=True))

    with pytest.raises(KeyError, match="no such key"):
        run()

    assert heard == [Step(site=NORTH)]
