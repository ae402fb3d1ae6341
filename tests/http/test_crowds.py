"""One caller who asks for all that a node has, at once, leaves room for the others."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from house import House, read_reason
from iamata.api import limits
from iamata.model.reasons import Reason
from iamata.wire.bodies import RequestBody

WAITING = "/v1/ledger/blocks?first=1000000&wait_s=2"
NEVER = msgspec.json.encode(RequestBody(request="x", height=10**12))
"""Waits for a block that the ledger does not come to."""


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as threads:
        yield threads


def test_one_key_cannot_take_every_long_poll(house: House, crowd: ThreadPoolExecutor) -> None:
    greedy, other = house.scene.b.author.key, house.scene.a.author.key
    asked = [crowd.submit(house.get, WAITING, greedy) for _ in range(limits.KEY_POLLS_MAX + 1)]
    await_polls(house, limits.KEY_POLLS_MAX)

    answer = house.get(WAITING, other)

    assert answer.status_code == 200
    refused = [one.result() for one in asked if one.result().status_code != 200]
    assert [read_reason(one) for one in refused] == [Reason.TOO_MANY_REQUESTS]


def test_one_key_cannot_take_every_thread(house: House, crowd: ThreadPoolExecutor) -> None:
    greedy, other = house.scene.b.author.key, house.scene.a.author.key
    asked = [crowd.submit(house.post, "/v1/requests", NEVER, greedy) for _ in range(3 * limits.WORKERS)]
    while house.serving.pool.tasks < limits.KEY_TASKS_MAX:
        time.sleep(0.01)
    begun_s = time.monotonic()

    answers = [house.get("/healthz"), house.get("/v1/ledger/position", other)]

    assert [one.status_code for one in answers] == [200, 200]
    assert time.monotonic() - begun_s < 2
    reasons = [read_reason(one.result()) for one in asked]
    assert reasons.count(Reason.TOO_BUSY) == limits.KEY_TASKS_MAX
    assert reasons.count(Reason.TOO_MANY_REQUESTS) == len(asked) - limits.KEY_TASKS_MAX


def await_polls(house: House, count: int) -> None:
    while house.serving.watch.polls < count:
        time.sleep(0.01)
