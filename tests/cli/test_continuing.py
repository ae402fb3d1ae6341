"""A network goes on under other orderers: at their nodes wallets work on with the keys they had."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.ledger.succession import Lineage
from iamata.node.home import load_genesis
from iamata.node.lineage import PREDECESSORS_FILE, read_lineage, write_lineage
from iamata.testing.nodes import RunningNode, running_network, take_any_port
from iamata.testing.stage import Answer, Stage, call

GRANT: Final = ("--to", "member:south", "--purpose", "TREAT", "--now", "--yes")
PROGRAM: Final = (sys.executable, "-c", "from iamata.cli.main import main; main()")
FIRST_PORT: Final = 9400


@pytest.fixture
def known(stage: Stage) -> Stage:
    """Let Ada use her wallet at north's node, so that it has seen the log."""
    take_any_port(stage.home)
    with RunningNode(stage.home, "--member", "north") as node:
        ask(node.url, stage.patient, "grant", *GRANT)
    assert (stage.patient / "checkpoints.json").exists()
    return stage


def use(url: str, wallet: Path, command: str, *options: object) -> Answer:
    return call("wallet", command, "--node", url, "--wallet", wallet, *options, "--json")


def ask(url: str, wallet: Path, command: str, *options: object) -> dict[str, Any]:
    answer = use(url, wallet, command, *options)
    assert answer.code == 0, answer
    return answer.document


def continue_network(stage: Stage, *options: object) -> dict[str, Any]:
    answer = call("network", "continue", stage.home, stage.folder / "net", *options, "--json")
    assert answer.code == 0, answer
    return answer.document


def work_on(stage: Stage, url: str) -> None:
    """Follow with Ada's wallet, withdraw what she granted before, and grant anew."""
    foreign = use(url, stage.patient, "show")
    assert "FOREIGN_NETWORK" in foreign.err
    (followed,) = ask(url, stage.patient, "follow")["followed"]
    assert followed["after"] != followed["before"]
    (consent,) = ask(url, stage.patient, "show")["consents"]
    assert consent["status"] == "active"
    ask(url, stage.patient, "withdraw")
    ask(url, stage.patient, "grant", *GRANT)
    assert ask(url, stage.patient, "follow")["followed"] == []


def verify(path: Path) -> dict[str, Any]:
    answer = call("verify", path, "--json")
    assert answer.code == 0, answer
    return answer.document


def test_a_network_goes_on_under_another_signer(known: Stage) -> None:
    """LED-SUC-6, LED-SUC-7, LED-SUC-8."""
    before, net = verify(known.home), known.folder / "net"
    said = continue_network(known, "--orderer", "south")
    assert said["continues"] == {"network": before["network"], "height": before["height"]}
    assert said["members"] == ["north", "south", "state"]
    assert "NETWORK_CONTINUED" in call("ledger", "status", "--home", known.home).err
    forget_proofs(net / "south")

    with running_network([net / "south", net / "north"]) as (south, north):
        unproven = use(south.url, known.patient, "follow")
        assert "FAULT_FOUND" in unproven.err
        work_on(known, north.url)

    report = verify(net / "north")
    assert (report["network"], report["continues"]) == (said["network"], said["continues"])
    for trusted, code in ((known.home, 0), (net / "state", 0), (known.folder / "none", 4)):
        assert call("verify", net / "north", "--genesis", trusted / "genesis.json").code == code
    assert verify(net / "south")["height"] > before["height"] + 2


@pytest.mark.slow
def test_a_network_goes_on_under_validators(known: Stage, require_part: Callable[[str], Path]) -> None:
    """LED-SUC-9."""
    require_part("cometbft")
    before, net = verify(known.home), known.folder / "net"
    said = continue_network(known, "--engine", "comet", "--port", FIRST_PORT)

    with running(net) as urls:
        work_on(known, urls["north"])

    homes = verify(net)["homes"]
    assert {one["network"] for one in homes.values()} == {said["network"]}
    assert all(one["validators"] == 3 for one in homes.values())
    assert all(one["height"] > before["height"] + 2 for one in homes.values())
    assert call("ledger", "export", "--home", net / "state", known.folder / "export").code == 0
    assert verify(known.folder / "export")["height"] > before["height"] + 2


def forget_proofs(home: Path) -> None:
    """Let a node say where its network comes from, and not prove it."""
    lineage = read_lineage(home, load_genesis(home))
    bare = tuple(msgspec.structs.replace(one, proofs=()) for one in lineage.predecessors)
    (home / PREDECESSORS_FILE).unlink()
    write_lineage(home, Lineage(predecessors=bare))


@contextlib.contextmanager
def running(net: Path) -> Iterator[dict[str, str]]:
    """Run the nodes of a network as its users do."""
    command = [*PROGRAM, "network", "up", str(net), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603  our own program
    try:
        assert process.stdout is not None
        urls: dict[str, str] = json.loads(process.stdout.readline())["nodes"]
        yield urls
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
