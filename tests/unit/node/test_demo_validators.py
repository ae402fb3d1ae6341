"""Where the demo is told between nodes, nobody works where the ledger is shorter than what was seen."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node import demo_validators
from iamata.node.demo_validators import Network
from iamata.node.home import Home
from iamata.node.keeping_up import KeptNodes

NORTH, SOUTH = MemberId("north-hospital"), MemberId("south-hospital")
SAID = 7
"""Leaves of the log after what was done at the first home."""


class PlayedNodes:
    """Nodes whose logs grow with each look."""

    def __init__(self) -> None:
        self.sizes = {NORTH: SAID, SOUTH: SAID - 3}

    def look(self, home: Path) -> SimpleNamespace:
        """Say how long a node's log is, after which a block arrives."""
        member = MemberId(home.name)
        size = self.sizes[member]
        self.sizes[member] = min(size + 1, SAID)
        return SimpleNamespace(log_size=size)

    @contextlib.contextmanager
    def working_at(self, member: str) -> Iterator[Home]:
        """Open a home whose log is as long as its node's was."""
        size = self.sizes[MemberId(member)]
        engine = SimpleNamespace(snapshot=lambda: SimpleNamespace(log_size=size))
        yield cast("Home", SimpleNamespace(engine=engine))


def make_network(monkeypatch: pytest.MonkeyPatch) -> Network:
    nodes = PlayedNodes()
    monkeypatch.setattr(demo_validators, "find_node", nodes.look)
    monkeypatch.setattr(demo_validators, "LAG_STEP_S", 0.0)
    return Network(Path("net"), cast("KeptNodes", nodes), lambda _: None)


def read_log_size(home: Home) -> int:
    return home.engine.snapshot().log_size


def test_a_lagging_node_catches_up_before_it_is_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(monkeypatch)

    with network.working_at(NORTH) as home:
        assert read_log_size(home) == SAID
    with network.working_at(SOUTH) as home:
        assert read_log_size(home) == SAID


def test_a_node_that_never_catches_up_ends_the_demo_with_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(monkeypatch)
    monkeypatch.setattr(demo_validators, "LAG_S_MAX", 0.0)
    with network.working_at(NORTH):
        pass

    with pytest.raises(Refused) as refused, network.working_at(SOUTH):
        pytest.fail("worked at a home that lags")

    assert refused.value.reason is Reason.TOO_SLOW
