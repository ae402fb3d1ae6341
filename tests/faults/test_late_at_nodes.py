"""Nodes in processes of their own: who orders is killed, an emergency is served, and posted afterwards."""

import dataclasses
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.ledger.entries import MemberKind
from iamata.model.ids import MemberId
from iamata.node.configuration import read_configuration, write_configuration
from iamata.node.network import create_node_homes
from iamata.testing.nodes import RunningNode, introduce, take_any_port
from iamata.testing.stage import FAMILY, Answer, call, write_bundle

PATIENCE_S: Final = 60
WHO: Final = ("--custodian", "north", "--family", FAMILY, "--given", "Ada", "--born", "1980-02-29")
WHY: Final = ("--reason", "Unconscious after a fall")


@dataclasses.dataclass
class Network:
    """The state's node orders; North keeps records, South has a doctor, and both follow."""

    folder: Path
    state: RunningNode
    north: RunningNode
    south: RunningNode

    @property
    def doctor(self) -> Path:
        """Say where the doctor's wallet lies."""
        return self.folder / "doctor"

    def declare(self, *options: object) -> Answer:
        """Let the doctor break the glass at South's own node."""
        wallet = ("--node", self.south.url, "--wallet", self.doctor)
        return call("emergency", "declare", *wallet, *WHO, *WHY, *options)

    def ask(self, *options: object) -> Answer:
        """Let the doctor ask through South's own node."""
        return call("access", "ask", "--node", self.south.url, "--person", self.doctor, *options)

    def list_emergencies(self) -> list[dict[str, str]]:
        """List what South's node knows of."""
        asked = call("emergency", "list", "--node", self.south.url, "--wallet", self.doctor, "--json")
        assert asked.code == 0, asked
        return list(asked.document["emergencies"])


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    members = [(MemberId("state"), "State", MemberKind.REGULATOR)]
    members += [(MemberId(one), one.title(), MemberKind.HOSPITAL) for one in ("north", "south")]
    create_node_homes(tmp_path / "net", "three", members)
    state, north, south = (tmp_path / "net" / member for member, _, _ in members)
    for home in (state, north, south):
        take_any_port(home)
    with RunningNode(state) as orderer:
        keep_port(state, orderer)
        introduce(north, peers={"state": orderer.url}, leader=orderer.url)
        bundle = write_bundle(tmp_path / "ada.json", "ada")
        run("records", "import", "--home", north, "--member", "north", bundle)
        with RunningNode(north) as keeper:
            introduce(south, peers={"state": orderer.url, "north": keeper.url}, leader=orderer.url)
            roles = ("--role", "clinician", "--role", "emergency")
            doctor = ("--member", "south", "--wallet", tmp_path / "doctor")
            run("person", "register", "--home", south, *doctor, *roles)
            with RunningNode(south) as asker:
                made = Network(folder=tmp_path, state=orderer, north=keeper, south=asker)
                yield made
                made.state.stop()


def keep_port(home: Path, node: RunningNode) -> None:
    """Let a node come back where it was."""
    port = int(node.url.rpartition(":")[2])
    write_configuration(home, msgspec.structs.replace(read_configuration(home), port=port))


def run(*arguments: object) -> dict[str, Any]:
    answer = call(*arguments, "--json")
    assert answer.code == 0, (arguments, answer)
    return answer.document


@pytest.mark.slow
def test_an_emergency_is_served_between_nodes_while_nobody_orders(network: Network) -> None:
    network.state.stop(signal.SIGKILL)

    refused = network.declare()
    assert refused.code == 7, refused
    assert "--without-ledger" in refused.err

    glass = network.folder / "glass"
    assert network.declare("--without-ledger", "--to", glass).code == 0
    asked = network.ask("--declaration", f"@{glass}")
    assert asked.code == 0, asked
    assert "ada-bp" in asked.out
    assert network.list_emergencies() == []

    network.state = RunningNode(network.state.home)
    deadline_s = time.monotonic() + PATIENCE_S
    while not network.list_emergencies() and time.monotonic() < deadline_s:
        time.sleep(0.5)
    (posted,) = network.list_emergencies()
    assert (posted["declared"], posted["member"], posted["custodian"]) == ("late", "south", "north")

    for node in (network.south, network.north):
        assert node.stop() == 0
    report = run("verify", network.north.home)
    assert (report["late_pending"], report["checked"]["disclosures"]) == ([], 1)
