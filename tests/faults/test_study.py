"""A study between node processes over TLS: trained by secure sums, gone on with when a node was killed."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.programmes import run
from iamata.learning.protocols import learn, split_site
from iamata.ledger.entries import ModelStatus
from iamata.model.ids import MemberId, RunId
from iamata.testing.learning import draw_rows, write_protocol
from iamata.testing.nodes import RunningNode, keep_port
from iamata.testing.study_network import StudyNetwork
from iamata.workflows.frozen_tables import Row, make_table

SITES = tuple(MemberId(f"hospital-{letter}") for letter in "abcd")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, require_part: Callable[[str], Path]) -> StudyNetwork:
    rows: dict[str, list[Row]] = {site: draw_rows(24, seed) for seed, site in enumerate(SITES)}
    folder, openssl = tmp_path_factory.mktemp("study") / "net", require_part("openssl")
    return StudyNetwork(folder, write_protocol(), rows, openssl=openssl)


def test_four_nodes_and_an_institute_train_a_model_equal_to_the_pooled_one(network: StudyNetwork) -> None:
    with network.running() as nodes:
        assert all(node.url.startswith("https://") for node in nodes)
        _, model = network.train()
        entry = network.get_model(model)
        raw = network.show_document(entry.content)
        card = network.show_document(entry.card)

    assert entry.status is ModelStatus.CURRENT
    assert b"no medical device" in card
    decoded = decode_model(raw, identify_model(raw))
    assert isinstance(decoded, LinearModel)
    pooled_rows = {
        person.patient: [row]
        for seed, site in enumerate(SITES)
        for person, row in zip(network.patients[site], draw_rows(24, seed), strict=True)
    }
    protocol = write_protocol()
    pooled = run(
        lambda: learn(protocol), [split_site(protocol, make_table(pooled_rows, protocol.schema), number=0)]
    )
    twin = decode_model(pooled.model, identify_model(pooled.model))
    assert isinstance(twin, LinearModel)
    gap = np.abs(np.array(decoded.fit.coefficients) - np.array(twin.fit.coefficients)).max()
    assert gap < 1e-6


@contextlib.contextmanager
def pausing(node: RunningNode) -> Iterator[None]:
    """Hold a node still: a run waits for it."""
    node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)


def await_line(node: RunningNode, run: RunId, words: str) -> None:
    """Await that a site says something about a run."""
    deadline_s = time.monotonic() + 60
    while not any(words in line and run in line for line in node.log.read_text().splitlines()):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_killed_relay_and_a_killed_site_go_on_with_the_run(network: StudyNetwork) -> None:
    """SUM-RUN-5, SUM-RUN-6."""
    with contextlib.ExitStack() as stack:
        owner, first, *_, last = stack.enter_context(network.running())
        keep_port(owner)
        with pausing(last):
            resumed = network.start()
            await_line(first, resumed, "takes part")
            owner.stop(signal.SIGKILL)
            stack.enter_context(RunningNode(owner.home))
        model = network.await_model(resumed)
        with pausing(last):
            interrupted = network.start()
            await_line(first, interrupted, "takes part")
            first.stop(signal.SIGKILL)
            again = stack.enter_context(RunningNode(first.home))
            await_line(again, interrupted, "goes on")
        next_model = network.await_model(interrupted)

        entry, next_entry = network.get_model(model), network.get_model(next_model)
        assert entry.status is ModelStatus.CURRENT
        assert next_entry.content == entry.content
