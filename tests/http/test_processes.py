"""Two nodes in two processes: consent at one, a read at the other, and what is left when they stop."""

import concurrent.futures
import dataclasses
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine
from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import MemberKind
from iamata.ledger.transactions.access import AnchorReads
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.configuration import read_configuration, write_configuration
from iamata.node.home import load_genesis, open_home
from iamata.node.keyfiles import read_key
from iamata.node.network import create_node_homes
from iamata.node.running import find_node
from iamata.node.surveying import survey
from iamata.testing.nodes import RunningNode, introduce, take_any_port
from iamata.testing.stage import FAMILY, Answer, call, write_bundle
from iamata.wire import bodies
from iamata.workflows.author import Author

PLANTED: Final = "Xanthippe-Planted"
"""A word in records, reasons and names that must appear nowhere else."""
MEMBERS: Final = (
    (MemberId("north"), "North", MemberKind.HOSPITAL),
    (MemberId("south"), "South", MemberKind.HOSPITAL),
)


@dataclasses.dataclass
class Network:
    """Two running nodes, and the wallets of those who use them."""

    folder: Path
    north_home: Path
    south_home: Path
    nodes: list[RunningNode] = dataclasses.field(default_factory=list)

    @property
    def homes(self) -> tuple[Path, Path]:
        """Both homes, as their nodes are listed."""
        return self.north_home, self.south_home

    @property
    def north(self) -> RunningNode:
        """The node that orders."""
        return self.nodes[0]

    @property
    def south(self) -> RunningNode:
        """The node that follows."""
        return self.nodes[1]

    def start(self) -> None:
        """Start both nodes; South learns where North listens."""
        self.nodes.append(RunningNode(self.north_home))
        introduce(self.south_home, peers={"north": self.north.url}, leader=self.north.url)
        if not self.wallet("doctor").exists():
            register(self.south_home, "south", self.wallet("doctor"), "clinician", "emergency")
        self.nodes.append(RunningNode(self.south_home))

    def stop(self) -> list[int]:
        """Stop both nodes, and return their exit codes."""
        return [self.nodes.pop().stop() for _ in range(len(self.nodes))]

    def ask(self, *arguments: object) -> dict[str, Any]:
        """Run a command that must succeed."""
        answer = self.call(*arguments)
        assert answer.code == 0, (arguments, answer)
        return answer.document

    def call(self, *arguments: object) -> Answer:
        """Run a command; wallets and files are named as they lie in the folder."""
        return call(*arguments, "--json")

    def wallet(self, name: str) -> Path:
        """Say where a wallet lies."""
        return self.folder / name


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Found a network of two nodes, with a patient's records at North and a doctor at South."""
    folder = tmp_path_factory.mktemp("network")
    create_node_homes(folder / "homes", "two", MEMBERS)
    north, south = folder / "homes" / "north", folder / "homes" / "south"
    for member, name, role in (("north", "nurse", "clinician"), ("north", "reviewer", "reviewer")):
        register(north, member, folder / name, role)
    bundle = write_bundle(folder / "ada.json", "ada", family=PLANTED)
    assert call("records", "import", "--home", north, "--member", "north", bundle).code == 0
    let_staff_consent(north, folder)
    for home in (north, south):
        take_any_port(home)
    network = Network(folder, north, south)
    network.start()
    try:
        yield network
    finally:
        network.stop()


def register(home: Path, member: str, wallet: Path, *roles: str) -> None:
    options = (part for role in roles for part in ("--role", role))
    answer = call("person", "register", "--home", home, "--member", member, "--wallet", wallet, *options)
    assert answer.code == 0, answer


def let_staff_consent(north: Path, folder: Path) -> None:
    """Let two of North's staff consent for Bob, who holds no key yet."""
    bob, form = write_bundle(folder / "bob.json", "bob", family="Second-Test"), folder / "form.txt"
    form.write_text("a signed form", encoding="utf-8")
    staff = ("--staff", folder / "nurse", "--staff", folder / "reviewer", "--evidence", form)
    at = ("--home", north, "--member", "north")
    assert call("records", "import", *at, bob).code == 0
    consent = call("patient", "consent", *at, "--patient", "Patient/bob", "--to", "member:south", *staff)
    assert consent.code == 0, consent


@pytest.fixture(scope="module")
def told(network: Network) -> dict[str, Any]:
    """Tell the story once: enrol, refuse, consent, read, look who looked, break the glass, withdraw."""
    a, b = ("--node", network.north.url), ("--node", network.south.url)
    ada, doctor = ("--wallet", network.wallet("ada")), network.wallet("doctor")
    heard: dict[str, Any] = {}
    nurse, thief = ("--person", network.wallet("nurse")), ("--wallet", network.wallet("thief"))
    code = network.ask("patient", "invite", *a, *nurse, "--patient", "Patient/ada")["code"]
    heard["enrol"] = network.ask("wallet", "enrol", *a, *ada, "--code", code)
    heard["enrol again"] = network.call("wallet", "enrol", *a, *thief, "--code", code)
    share = network.ask("wallet", "share", *a, *ada, "--recipient", "south")["share"]
    ask = ("access", "ask", *b, "--person", doctor, "--share", share)
    heard["before"] = network.call(*ask)
    terms = ("--to", "member:south", "--purpose", "TREAT", "--label", "N", "--label", "R", "--yes")
    heard["grant"] = network.ask("wallet", "grant", *a, *ada, *terms)
    heard["read"] = network.ask(*ask, "--to", network.folder / "got.ndjson")
    heard["accesses"] = network.ask("wallet", "accesses", *a, *ada)["accesses"]
    heard["show"] = network.ask("wallet", "show", *a, *ada)
    heard["restrict"] = network.ask("wallet", "restrict", *a, *ada, "--purpose", "HRESCH", "--yes")
    heard["withdraw"] = network.ask("wallet", "withdraw", *a, *ada)
    heard["after"] = network.call(*ask)
    found = ("--family", PLANTED, "--given", "Ada", "--born", "1980-02-29")
    why = ("--reason", f"Unconscious after a fall, {PLANTED}")
    heard["declare"] = network.ask(
        "emergency", "declare", *b, "--wallet", doctor, "--custodian", "north", *found, *why
    )
    broken = ("--emergency", heard["declare"]["emergency"])
    heard["emergency"] = network.ask("access", "ask", *b, "--person", doctor, *broken)
    code = network.ask("patient", "invite", *a, *nurse, "--patient", "Patient/bob")["code"]
    bob = ("--wallet", network.wallet("bob"))
    network.ask("wallet", "enrol", *a, *bob, "--code", code)
    heard["confirm"] = network.ask("wallet", "confirm", *a, *bob, "--yes")
    heard["confirm again"] = network.call("wallet", "confirm", *a, *bob, "--yes")
    heard["proposal"] = govern(network)
    heard["receipt"] = network.ask("ledger", "receipt", *b, "--wallet", doctor, "--leaf", 3)
    heard["events"] = network.ask("ledger", "events", *a, *ada, "--after", 3, "--limit", 1)
    reviewed = ("--wallet", network.wallet("reviewer"), *broken, "--outcome", "justified", *why)
    heard["review"] = network.ask("emergency", "review", *a, *reviewed)
    return heard


def govern(network: Network) -> dict[str, Any]:
    """Let each member's administrator speak at their own node."""
    wallets = [home / "wallets" / f"{home.name}-administrator" for home in network.homes]
    at = [
        ("--node", node.url, "--wallet", wallet)
        for node, wallet in zip(network.nodes, wallets, strict=True)
    ]
    opened = network.ask("proposal", "open", *at[0], "--suspend", "south")
    return network.ask("proposal", "vote", *at[1], "--proposal", opened["proposal"], "--reject")


def test_a_patient_confirms_from_afar_what_staff_signed(told: dict[str, Any]) -> None:
    assert len(told["confirm"]["confirmed"]) == 1
    assert "CONSENT_NOT_CUSTODIAL" in told["confirm again"].err


def test_members_decide_each_at_their_own_node(told: dict[str, Any]) -> None:
    assert (told["proposal"]["approvals"], told["proposal"]["rejections"]) == (["north"], ["south"])


def test_a_receipt_is_proven_at_either_node(told: dict[str, Any]) -> None:
    (event,) = told["events"]["events"]

    assert event["leaf"] == told["receipt"]["receipt"]["index"] == 3
    assert json.loads(told["receipt"]["receipt"]["leaf"])["id"] == told["receipt"]["transaction"]


def test_a_patient_enrols_from_afar_once(told: dict[str, Any]) -> None:
    assert told["enrol"]["custodian"] == "north"
    assert "PATIENT_ALREADY_EXISTS" in told["enrol again"].err


def test_nothing_leaves_before_a_consent_or_after_it(told: dict[str, Any]) -> None:
    assert told["before"].code == told["after"].code == 4
    assert "NOT_FOUND" in told["before"].err


def test_records_arrive_between_two_processes(told: dict[str, Any], network: Network) -> None:
    lines = (network.folder / "got.ndjson").read_text(encoding="utf-8").splitlines()

    assert told["read"]["records"] == len(lines) == 2
    assert {json.loads(line)["resourceType"] for line in lines} == {"Patient", "Observation"}


def test_the_patient_sees_who_looked_proven_and_confirmed(told: dict[str, Any]) -> None:
    (access,) = told["accesses"]

    assert (access["recipient"], access["records"]) == ("south", 2)
    assert access["is_proven"]
    assert access["is_released"]
    assert access["is_confirmed"]


def test_an_emergency_is_answered_between_two_processes(told: dict[str, Any]) -> None:
    assert told["emergency"]["records"] == 2
    assert told["review"]["outcome"] == "justified"


def test_an_open_home_is_refused_with_what_to_do(network: Network) -> None:
    answer = call("ledger", "status", "--home", network.north.home)

    assert answer.code == 7
    assert "HOME_IN_USE" in answer.err
    assert "--node" in answer.err


def test_refusals_are_the_same_here_and_there(network: Network, told: dict[str, Any]) -> None:
    consent, doctor = told["grant"]["consent"], network.wallet("doctor")
    stranger = ("wallet", "withdraw", "--node", network.south.url, "--wallet", doctor)
    foreign = call(*stranger, "--consent", consent)
    ada = ("--node", network.north.url, "--wallet", network.wallet("ada"))
    twice = network.call("wallet", "withdraw", *ada, "--consent", consent)

    assert "UNKNOWN_CONSENT" in foreign.err
    assert "CONSENT_NOT_ACTIVE" in twice.err
    assert twice.code == 5


def test_a_taken_port_is_named(network: Network, tmp_path: Path) -> None:
    home, port = tmp_path / "home", network.north.url.rpartition(":")[2]
    call("network", "init", "--home", home, "--member", "one:research:One")
    call("node", "configure", "--home", home, "--port", port)

    answer = call("node", "up", home)

    assert answer.code == 7
    assert "ADDRESS_TAKEN" in answer.err


def test_a_node_of_another_network_is_not_taken_for_ours(network: Network, tmp_path: Path) -> None:
    create_node_homes(tmp_path / "homes", "other", MEMBERS)
    home = tmp_path / "homes" / "north"
    port = int(network.north.url.rpartition(":")[2])
    write_configuration(home, msgspec.structs.replace(read_configuration(home), port=port))

    assert find_node(home) is None
    assert survey([home])[0].height is None


def test_logs_and_figures_name_nobody_and_nothing(network: Network, told: dict[str, Any]) -> None:
    figures = Connection(network.north.url)._exchange("GET", "/metrics", b"", {}, answer_s=10)[1].decode()  # noqa: SLF001  as they are
    spoken = [figures, *(node.log.read_text(encoding="utf-8") for node in (network.north, network.south))]
    patient, consent = told["enrol"]["patient"], told["grant"]["consent"]

    assert "iamata_requests_total" in figures
    for secret in (PLANTED, FAMILY, "1980-02-29", "Patient/ada", patient, consent, *list_keys(network)):
        assert [text for text in spoken if secret in text] == []
    for line in spoken[1].splitlines():
        assert json.loads(line)["level"] in {"info", "warning"}


def list_keys(network: Network) -> list[str]:
    keys = network.folder.glob("homes/*/**/*.key")
    return [path.read_text(encoding="ascii").strip() for path in keys]


def test_an_outsider_verifies_both_homes_between_two_runs(told: dict[str, Any], network: Network) -> None:
    assert told["withdraw"]
    try:
        assert network.stop() == [0, 0]
        answers = [call("verify", home, "--json") for home in (network.north_home, network.south_home)]
    finally:
        network.start()

    assert [answer.code for answer in answers] == [0, 0], answers
    assert len({answer.document["app_hash"] for answer in answers}) == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path, how: signal.Signals) -> None:
    home = tmp_path / "home"
    call("network", "init", "--home", home, "--member", "one:research:One")
    take_any_port(home)
    node = RunningNode(home)
    acknowledged, begun = [], threading.Event()

    def send() -> None:
        engine = open_engine(node)
        author = write_as(engine, home)
        try:
            for _ in range(2_000):
                root = author.make_id()
                fields = {"anchor": root, "root": "A" * 43, "count": 1}
                acknowledged.append(author.submit(AnchorReads, **fields))
                if len(acknowledged) > 40:
                    begun.set()
        except Refused as refused:
            assert refused.reason in {Reason.NODE_UNREACHABLE, Reason.ENGINE_STOPPED, Reason.FAULT_FOUND}
        finally:
            engine.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(send) for _ in range(4)]
        assert begun.wait(timeout=60)
        code = node.stop(how)
        for one in sending:
            one.result(timeout=60)

    assert code == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    with open_home(home) as opened:
        leaves = {leaf.id for _, leaf in opened.engine.events(0)}
    assert [one.id for one in acknowledged if one.id not in leaves] == []
    assert len(acknowledged) > 40


def test_a_stopping_node_lets_long_polls_go(tmp_path: Path) -> None:
    home = tmp_path / "home"
    call("network", "init", "--home", home, "--member", "one:research:One")
    take_any_port(home)
    node = RunningNode(home)
    connection = Connection(node.url, key=read_signing_key(home))

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        query = bodies.EventsQuery(after=0, wait_s=20)
        polling = pool.submit(connection.get, "/v1/ledger/events", bodies.EventPage, query)
        time.sleep(0.5)
        begun_s = time.monotonic()
        code = node.stop()
        assert polling.result(timeout=5).leaves == ()

    connection.close()
    assert code == 0
    assert time.monotonic() - begun_s < 10


def open_engine(node: RunningNode) -> RemoteEngine:
    return RemoteEngine(Connection(node.url, key=read_signing_key(node.home)), load_genesis(node.home))


def read_signing_key(home: Path) -> SigningKey:
    (member,) = (home / "members").iterdir()
    return SigningKey.from_seed(read_key(member / "keys" / "signing.key"))


def write_as(engine: RemoteEngine, home: Path) -> Author:
    return Author(engine, read_signing_key(home), read_clock_ms, os.urandom)


def test_a_node_that_is_told_to_stop_as_soon_as_it_is_ready_stops(tmp_path: Path) -> None:
    home = tmp_path / "home"
    call("network", "init", "--home", home, "--member", "one:research:One")
    take_any_port(home)

    codes = [RunningNode(home).stop() for _ in range(3)]

    assert codes == [0, 0, 0]
