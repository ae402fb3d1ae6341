"""The engine port over HTTP believes nothing: whatever a lying node changes is a fault by name."""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from house import House
from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine, fetch_genesis
from iamata.crypto.ed25519 import SigningKey
from iamata.ledger.receipts import Checkpoint, check_growth
from iamata.ledger.tables import MEMBERS, PATIENTS
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.ids import NetworkId
from iamata.model.reasons import Reason, Refused
from iamata.testing.scenes import Scene
from iamata.workflows.author import Author

Change = Callable[[str, Any], Any]


class Wire(Connection):
    """A connection that goes into the house, and lets a test change what comes out."""

    def __init__(self, house: House, key: SigningKey | None) -> None:
        super().__init__("https://node.example", key=key, clock=house.scene.world.clock)
        self.house = house
        self.change: Change = lambda _, answer: answer
        self.asked: list[str] = []

    def _exchange(
        self, method: str, target: str, body: bytes, signed: dict[str, str], **_: float
    ) -> tuple[int, bytes]:
        self.asked.append(target)
        response = self.house.client.request(method, target, content=body, headers=signed)
        if response.status_code != 200:
            return response.status_code, response.content
        changed = self.change(target.partition("?")[0], json.loads(response.content))
        return 200, json.dumps(changed).encode()


@pytest.fixture
def wire(house: House) -> Wire:
    return Wire(house, house.scene.b.author.key)


@pytest.fixture
def engine(wire: Wire, scene: Scene) -> RemoteEngine:
    return RemoteEngine(wire, scene.engine.genesis)


def refuse(work: Callable[[], object]) -> Reason:
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.reason


def test_every_entry_is_what_the_ledger_holds(engine: RemoteEngine, scene: Scene) -> None:
    here, there = scene.engine.snapshot(), engine.snapshot()

    assert (there.height, there.time_ms, there.log_size) == (here.height, here.time_ms, here.log_size)
    assert there.app_hash == here.app_hash
    for table, name in ((MEMBERS, "hospital-a"), (MEMBERS, "nobody"), (PATIENTS, scene.anna.id)):
        assert there.get(table.key(name)) == here.get(table.key(name))
        assert there.prove_entry(table.key(name)) == here.prove_entry(table.key(name))


def test_a_view_stays_as_it_was(engine: RemoteEngine, scene: Scene) -> None:
    view = engine.snapshot()
    key = PATIENTS.key(scene.world.enrol_patient("late", custodian="hospital-a").id)

    assert view.get(key) is None
    assert engine.snapshot().get(key) is not None


@pytest.mark.parametrize("after", range(12))
def test_the_log_reads_the_same_from_every_leaf(engine: RemoteEngine, scene: Scene, after: int) -> None:
    scene.grant()
    scene.read()

    assert list(engine.events(after)) == list(scene.engine.events(after))


def test_a_log_of_several_pages_reads_the_same(
    engine: RemoteEngine, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iamata.client.view.PAGE", 3)
    for count in range(20):
        scene.world.enrol_patient(f"p{count}", custodian="hospital-a")
        assert list(engine.events(0)) == list(scene.engine.events(0))


def test_a_transaction_becomes_final_with_a_proof(engine: RemoteEngine, scene: Scene) -> None:
    consent = scene.grant()
    author = Author(engine, scene.anna.author.key, scene.world.clock, scene.world.entropy)

    finality = author.submit(WithdrawConsent, consent=consent)

    assert finality.index == scene.engine.snapshot().log_size - 1
    assert engine.snapshot().prove_leaf(finality.index).index == finality.index


def test_a_refusal_arrives_as_the_same_refusal(engine: RemoteEngine, scene: Scene) -> None:
    consent = scene.grant()
    remote = Author(engine, scene.ben.author.key, scene.world.clock, scene.world.entropy)
    raw = remote.write(WithdrawConsent, consent=consent)

    assert refuse(lambda: remote.submit(WithdrawConsent, consent=consent)) is refuse(
        lambda: scene.ben.author.submit(WithdrawConsent, consent=consent)
    )
    forged = raw[:-1] + (b"Q" if raw.endswith(b"A") else b"A")
    assert refuse(lambda: engine.submit(forged).result(timeout=5)) in {
        Reason.BAD_SIGNATURE,
        Reason.NOT_CANONICAL,
    }


def change_answer(one: Any, **fields: Any) -> Any:
    """Change what was answered about the one transaction that was sent."""
    (answer,) = one["answers"]
    return {"answers": [answer | {"finality": answer["finality"] | fields}]}


def change_size(one: Any) -> Any:
    checkpoint = one["checkpoint"]
    return one | {"checkpoint": checkpoint | {"log_size": checkpoint["log_size"] + 1}}


def change_leaf(one: Any) -> Any:
    first, *rest = one["leaves"]
    return one | {"leaves": [re.sub(r"\d{13}", "1" * 13, first), *rest]}


STATE, POSITION, EVENTS, SENT = (
    "/v1/ledger/state",
    "/v1/ledger/position",
    "/v1/ledger/events",
    "/v1/transactions",
)
LIES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "another value": (STATE, lambda one: one | {"value": one["value"].replace("active", "left")}),
    "no value": (STATE, lambda one: one | {"value": None}),
    "another key": (STATE, lambda one: one | {"key": "member/hospital-b"}),
    "another app hash": (POSITION, change_size),
    "another leaf": (EVENTS, change_leaf),
    "a leaf less": (EVENTS, lambda one: one | {"leaves": one["leaves"][1:]}),
    "leaves in another order": (EVENTS, lambda one: one | {"leaves": one["leaves"][::-1]}),
    "no leaves": (EVENTS, lambda one: one | {"leaves": [], "growth": None}),
    "an empty ledger": (POSITION, lambda _: {"height": 0}),
    "no proof of growth": (POSITION, lambda one: one | {"growth": None}),
    "another place": (SENT, lambda one: change_answer(one, index=0)),
    "an accepted refusal": (SENT, lambda one: change_answer(one, reason=5)),
    "no receipt": (SENT, lambda one: {"answers": [{"finality": one["answers"][0]["finality"]}]}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_a_fault_by_name(engine: RemoteEngine, wire: Wire, scene: Scene, lie: str) -> None:
    consent = scene.grant()
    engine.snapshot()
    scene.world.enrol_patient("later", custodian="hospital-a")
    where, change = LIES[lie]
    wire.change = lambda path, answer: change(answer) if path == where else answer
    author = Author(engine, scene.anna.author.key, scene.world.clock, scene.world.entropy)

    def ask() -> None:
        engine.snapshot().get(MEMBERS.key("hospital-a"))
        list(engine.events(1))
        author.submit(WithdrawConsent, consent=consent)

    assert refuse(ask) is Reason.FAULT_FOUND


def test_a_ledger_that_went_back_is_a_fault(engine: RemoteEngine, wire: Wire, scene: Scene) -> None:
    older = wire.get("/v1/ledger/position", dict[str, Any])
    scene.world.enrol_patient("later", custodian="hospital-a")
    engine.snapshot()
    wire.change = lambda path, answer: older if path == "/v1/ledger/position" else answer

    assert refuse(engine.snapshot) is Reason.FAULT_FOUND


def test_a_ledger_that_was_rewritten_is_a_fault(house: House, scene: Scene) -> None:
    kept: list[Checkpoint] = []
    RemoteEngine(Wire(house, scene.b.author.key), scene.engine.genesis, keep=kept.append).snapshot()
    forked = msgspec.structs.replace(kept[0], log_root=kept[0].state_root)

    again = RemoteEngine(Wire(house, scene.b.author.key), scene.engine.genesis, pinned=forked)

    assert refuse(again.snapshot) is Reason.FAULT_FOUND


def test_growth_is_proven_to_who_kept_the_earlier_checkpoint(engine: RemoteEngine, scene: Scene) -> None:
    earlier = engine.snapshot().prove_leaf(0).checkpoint
    scene.world.enrol_patient("later", custodian="hospital-a")

    growth = engine.snapshot().prove_growth(earlier.log_size)

    check_growth(growth, earlier, scene.engine.genesis)


def test_a_genesis_of_another_network_is_refused(wire: Wire, scene: Scene) -> None:
    assert fetch_genesis(wire, network=scene.engine.network) == scene.engine.genesis
    assert refuse(lambda: fetch_genesis(wire, network=NetworkId("A" * 43))) is Reason.FOREIGN_NETWORK


def test_nothing_is_asked_twice_at_one_height(engine: RemoteEngine, wire: Wire) -> None:
    for _ in range(5):
        engine.snapshot().get(MEMBERS.key("hospital-a"))

    assert sum(one.startswith("/v1/ledger/state") for one in wire.asked) == 1


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (200, b"<html>", Reason.NODE_UNREACHABLE),
        (200, b'{"height": "x"}', Reason.NODE_UNREACHABLE),
        (502, b"bad gateway", Reason.NODE_UNREACHABLE),
        (503, b"Service Unavailable", Reason.TOO_BUSY),
        (400, b'{"reason": 99999, "name": "NEW", "sentence": "?"}', Reason.NODE_FAULT),
        (404, b'{"reason": 508, "name": "NOT_FOUND", "sentence": "?"}', Reason.NOT_FOUND),
    ],
)
def test_an_answer_that_is_none_is_refused_by_name(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, status: int, content: bytes, reason: Reason
) -> None:
    monkeypatch.setattr(wire, "_exchange", lambda *_, **__: (status, content))
    monkeypatch.setattr("iamata.client.connection.PAUSE_S", 0)
    engine = RemoteEngine(wire, wire.house.scene.engine.genesis)

    assert refuse(engine.snapshot) is reason


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:8100",
        "ftp://localhost",
        "https://",
        "localhost:8100",
        "https://u:p@h",
        "https://h/x",
        "x",
    ],
)
def test_a_url_without_tls_or_host_is_refused(url: str) -> None:
    assert refuse(lambda: Connection(url)) is Reason.INPUT_INVALID
