"""Runs between nodes whose line is slow, or whose owner lies: they come to the sum of all, or nothing."""

import contextlib
import dataclasses
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from iamata.model.ids import MemberId, RunId
from iamata.model.reasons import Reason
from iamata.node.configuration import read_configuration, write_configuration
from iamata.testing.learning import draw_rows, write_protocol
from iamata.testing.lying_relay import HEARD, LIE, LIES, MASKED, PHASE_S, REVEALS, SURVIVORS
from iamata.testing.nodes import RunningNode, introduce
from iamata.testing.relayed_line import HOST
from iamata.testing.slow_line import SlowLine
from iamata.testing.study_network import OWNER, StudyNetwork
from iamata.workflows.frozen_tables import Row

SITES = tuple(MemberId(f"hospital-{letter}") for letter in "abcd")
LIAR = "from iamata.testing.lying_relay import lie; lie()"
PATIENCE_S = 60.0


@dataclasses.dataclass
class Lying:
    """A network whose owner lies when told to, and whose last site has a line of its own to it."""

    network: StudyNetwork
    sites: Sequence[RunningNode]
    line: SlowLine

    @contextlib.contextmanager
    def telling(self, lie: str) -> Iterator[None]:
        """Let the owner lie."""
        file = (self.network.folder / OWNER).with_suffix(f".{LIE}")
        file.write_text(lie, encoding="utf-8")
        try:
            yield
        finally:
            file.unlink()

    def list_heard(self, run: RunId) -> set[int]:
        """List the phases in which the owner was brought anything."""
        lines = (self.network.folder / OWNER).with_suffix(f".{HEARD}").read_text().splitlines()
        return {int(line.split()[1]) for line in lines if line.startswith(run)}

    def await_refusals(self, run: RunId) -> dict[str, str]:
        """Await that each site has left a run, and return for which reasons."""
        deadline_s = time.monotonic() + PATIENCE_S
        refusals: dict[str, str] = {}
        while len(refusals) < len(self.sites):
            assert time.monotonic() < deadline_s, refusals
            time.sleep(0.05)
            for node in self.sites:
                for line in node.log.read_text().splitlines():
                    if "run failed" in line and run in line:
                        refusals[node.home.name] = msgspec.json.decode(line)["reason"]
        return refusals


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lying]:
    rows: dict[str, list[Row]] = {site: draw_rows(24, seed) for seed, site in enumerate(SITES)}
    network = StudyNetwork(tmp_path_factory.mktemp("lies") / "net", write_protocol(), rows)
    owner = network.folder / OWNER
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(SlowLine())
        line.target = find_port()
        names = tuple(f"{HOST}:{port}" for port in (line.port, line.target))
        configuration = read_configuration(owner)
        write_configuration(owner, msgspec.structs.replace(configuration, names=names, port=line.target))
        network.url = stack.enter_context(RunningNode(owner, verb="serve", program=LIAR)).url
        nodes = []
        for site in SITES:
            url = f"http://{HOST}:{line.port}" if site == SITES[-1] else network.url
            introduce(network.folder / site, peers={OWNER: url}, leader=url)
            nodes.append(stack.enter_context(RunningNode(network.folder / site)))
        yield Lying(network, nodes, line)


def find_port() -> int:
    """Find a port that is free."""
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def test_over_a_slow_line_a_run_comes_to_the_same_model(lying: Lying) -> None:
    _, model = lying.network.train()
    lying.line.delay_s, lying.line.bytes_per_s = 0.01, 128 * 1_024

    try:
        _, slow = lying.network.train()
    finally:
        lying.line.delay_s, lying.line.bytes_per_s = 0.0, 1e9

    content = lying.network.get_model(model).content
    assert lying.network.get_model(slow).content == content


def test_a_site_behind_a_line_that_stands_still_is_dropped_and_ends_the_run(lying: Lying) -> None:
    """SUM-RUN-1."""
    lying.line.delay_s = 0.05
    run = lying.network.start()
    await_line(lying.sites[0], run, "takes part")
    lying.line.flowing.clear()
    since_s = time.monotonic()

    try:
        reason = lying.network.await_failure(run)
        waited_s = time.monotonic() - since_s
    finally:
        lying.line.delay_s = 0.0
        lying.line.flowing.set()

    assert reason == Reason.TOO_FEW_SITES
    assert waited_s > PHASE_S / 2
    assert len(lying.await_refusals(run)) == len(SITES)
    assert lying.network.list_models(run) == []


def await_line(node: RunningNode, run: RunId, words: str) -> None:
    """Await that a site says something about a run."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not any(words in line and run in line for line in node.log.read_text().splitlines()):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


COMES_TO = {
    "drops": ({Reason.TOO_FEW_SITES, Reason.SITE_LEFT_OUT}, MASKED),
    "reorders": ({Reason.NOT_CANONICAL}, MASKED - 1),
    "changes a bit": ({Reason.BAD_SIGNATURE}, None),
    "replays a phase": ({Reason.ROUND_ABORTED}, MASKED),
    "replays a round": ({Reason.ANOTHER_ROUND}, None),
    "shows other survivors": ({Reason.TOO_FEW_SITES, Reason.SITE_LEFT_OUT}, SURVIVORS),
    "parts the sites": ({Reason.TOO_FEW_SITES}, SURVIVORS),
    "asks for both shares": ({Reason.TOO_FEW_SITES, Reason.SITE_LEFT_OUT}, MASKED),
    "tells another sum": ({Reason.VIEWS_DIFFER}, None),
}
"""For which reason a run then fails, and after which phase no site says anything more, where it is one."""


@pytest.mark.parametrize("lie", LIES)
def test_an_owner_that_lies_gets_neither_a_sum_nor_a_model(lying: Lying, lie: str) -> None:
    reasons, last = COMES_TO[lie]
    with lying.telling(lie):
        run = lying.network.start()
        reason = lying.network.await_failure(run)
        refusals = lying.await_refusals(run)
    heard = lying.list_heard(run)

    assert reason in reasons
    assert set(refusals) == set(SITES)
    assert last is None or max(heard) == last < REVEALS
    assert lying.network.list_models(run) == []
    check_logs(lying.network.folder)


def check_logs(folder: Path) -> None:
    """Hold that no log names a patient or a value."""
    said = "".join(file.read_text() for file in folder.glob("*.log"))
    assert said
    for seed in range(len(SITES)):
        assert not any(str(row["marker"]) in said for row in draw_rows(24, seed))
