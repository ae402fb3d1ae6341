"""Forged, replayed, late, oversized and too many requests are refused by name, in one shape."""

import pytest

from house import House, read_reason
from iamata.api import limits
from iamata.api.gate import Knock
from iamata.api.nonces import Nonces
from iamata.api.rates import Rates
from iamata.model.ids import KeyId, Nonce
from iamata.model.reasons import Reason, Refused
from iamata.testing.surface import sign
from iamata.wire.bodies import Submission
from iamata.wire.refusals import get_status
from iamata.wire.signatures import Message, Proof

TARGET = "/v1/ledger/position"


def test_a_request_serves_once(house: House) -> None:
    headers = sign(house.scene.b.author.key, "GET", TARGET, clock=house.scene.world.clock)

    first, second = (house.client.get(TARGET, headers=headers) for _ in range(2))

    assert first.status_code == 200
    assert read_reason(second) is Reason.REPLAYED
    assert second.status_code == 409


def test_a_late_request_is_refused(house: House) -> None:
    headers = sign(house.scene.b.author.key, "GET", TARGET, clock=house.scene.world.clock)
    house.scene.world.clock.advance(61_000)

    response = house.client.get(TARGET, headers=headers)

    assert read_reason(response) is Reason.EXPIRED
    assert response.status_code == 410


def test_a_replay_is_noticed_for_as_long_as_a_signature_lives() -> None:
    nonces = Nonces()
    proof = Proof(key=KeyId("k"), nonce=Nonce("n"), expires_s=1_300)
    nonces.use(proof, now_s=1_000)

    for now_s in (1_000, 1_060, 1_300, 1_359):
        with pytest.raises(Refused) as caught:
            nonces.use(proof, now_s=now_s)
        assert caught.value.reason is Reason.REPLAYED


def test_with_no_room_left_nothing_is_forgotten() -> None:
    nonces = Nonces(nonces_max=2)
    for name in ("a", "b"):
        nonces.use(Proof(key=KeyId("k"), nonce=Nonce(name), expires_s=60), now_s=0)

    with pytest.raises(Refused) as caught:
        nonces.use(Proof(key=KeyId("k"), nonce=Nonce("c"), expires_s=60), now_s=0)

    assert caught.value.reason is Reason.TOO_BUSY
    nonces.use(Proof(key=KeyId("k"), nonce=Nonce("c"), expires_s=999), now_s=361)


def test_a_request_for_another_node_is_none_for_this_one(house: House) -> None:
    headers = sign(house.scene.b.author.key, "GET", TARGET, clock=house.scene.world.clock)

    response = house.client.get(TARGET, headers=headers | {"host": "other.example"})

    assert read_reason(response) is Reason.WRONG_NODE
    assert response.status_code == 421


def test_a_changed_body_is_refused(house: House) -> None:
    headers = sign(house.scene.b.author.key, "POST", "/v1/requests", b"{}", clock=house.scene.world.clock)

    response = house.client.post("/v1/requests", content=b"{ }", headers=headers)

    assert read_reason(response) is Reason.BODY_CHANGED


def test_a_body_that_is_too_long_is_refused_unread(house: House) -> None:
    body = b" " * (limits.BODY_BYTES_MAX + 1)

    announced = house.client.post("/v1/requests", content=body)
    streamed = house.client.post("/v1/requests", content=iter([body]))

    assert read_reason(announced) is read_reason(streamed) is Reason.TOO_LARGE
    assert announced.status_code == 413


def test_a_question_has_no_body(house: House) -> None:
    response = house.client.request("GET", "/v1/node", content=b"{}")

    assert read_reason(response) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"request":1}', b'{"request":"a b"}', b"{", b'{"request":"a","x":1}', b"\xff"],
)
def test_a_body_of_another_shape_is_refused(house: House, body: bytes) -> None:
    assert read_reason(house.post("/v1/requests", body, house.scene.b.author.key)) is Reason.MALFORMED


@pytest.mark.parametrize(
    "query", ["since=-1", "since=x", "since=1&since=2", "other=1", "since=9007199254740992"]
)
def test_a_query_of_another_shape_is_refused(house: House, query: str) -> None:
    response = house.get(f"{TARGET}?{query}", house.scene.b.author.key)

    assert read_reason(response) is Reason.MALFORMED


def test_a_stranger_is_slowed_down(house: House) -> None:
    codes = [house.get("/healthz").status_code for _ in range(limits.STRANGER_BURST + 1)]

    assert codes[:-1] == [200] * limits.STRANGER_BURST
    assert codes[-1] == 429
    house.scene.world.clock.advance(1_000)
    assert house.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "garbage"},
        {"signature-input": "x"},
        {"signature": "iamata=:AAAA:", "signature-input": "iamata=();created=1"},
    ],
)
def test_whoever_signs_with_rubbish_is_a_stranger(house: House, changes: dict[str, str]) -> None:
    reasons = [
        read_reason(house.client.get(TARGET, headers=changes)) for _ in range(limits.STRANGER_BURST + 1)
    ]

    assert Reason.TOO_MANY_REQUESTS not in reasons[:-1]
    assert reasons[-1] is Reason.TOO_MANY_REQUESTS
    assert house.get(TARGET, house.scene.b.author.key).status_code == 200


def test_a_replay_counts_as_a_strangers_request(house: House) -> None:
    headers = sign(house.scene.b.author.key, "GET", TARGET, clock=house.scene.world.clock)
    house.client.get(TARGET, headers=headers)
    for _ in range(limits.STRANGER_BURST):
        assert read_reason(house.client.get(TARGET, headers=headers)) is Reason.REPLAYED

    assert read_reason(house.client.get(TARGET, headers=headers)) is Reason.TOO_MANY_REQUESTS


def test_each_transaction_of_a_stranger_counts(house: House) -> None:
    half = Submission(transactions=("a.b.c",) * (limits.STRANGER_BURST // 2))

    codes = [house.post("/v1/transactions", half).status_code for _ in range(2)]
    last = house.post("/v1/transactions", Submission(transactions=("a.b.c",)))

    assert codes == [200, 200]
    assert read_reason(last) is Reason.TOO_MANY_REQUESTS


def test_each_transaction_of_a_key_counts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    key, two = house.scene.b.author.key, Submission(transactions=("a.b.c",) * 2)
    rates = Rates(per_s=1, burst=5, clock_s=lambda: 0.0)
    monkeypatch.setattr(house.serving.gate, "_submissions", rates)

    codes = [house.post("/v1/transactions", two, key).status_code for _ in range(3)]

    assert codes == [200, 200, 429]
    assert house.get(TARGET, key).status_code == 200
    assert house.post("/v1/transactions", two).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2/nothing"), ("DELETE", "/v1/node")])
def test_who_asks_for_what_is_not_there_is_slowed_down_too(
    house: House, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    monkeypatch.setattr(house.serving.gate, "_addresses", Rates(per_s=1, burst=2, clock_s=lambda: 0.0))

    codes = [house.client.request(method, path).status_code for _ in range(3)]

    assert codes[0] == codes[1] in {404, 405}
    assert codes[2] == 429


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "198.51.100.7"])
def test_what_a_proxy_passed_on_is_not_local(address: str) -> None:
    def is_local(**fields: str) -> bool:
        message = Message(method="GET", authority="x", path="/metrics", query="", fields=fields)
        return Knock(message=message, body=b"", address=address).is_local

    assert is_local() == (address != "198.51.100.7")
    assert not is_local(forwarded="for=192.0.2.1")
    assert not is_local(**{"x-forwarded-for": "192.0.2.1"})


def test_rates_fill_up_again_and_never_beyond_the_burst() -> None:
    now_s = 0.0
    rates = Rates(per_s=2, burst=3, clock_s=lambda: now_s)

    def count() -> int:
        taken = 0
        while True:
            try:
                rates.take("one")
            except Refused:
                return taken
            taken += 1

    assert count() == 3
    now_s = 1.0
    assert count() == 2
    now_s = 1_000.0
    assert count() == 3
    rates.take("another")


def test_what_is_not_served_is_refused_in_the_same_shape(house: House) -> None:
    missing, wrong = house.get("/v2/nothing"), house.client.delete("/v1/node")

    assert read_reason(missing) is Reason.UNKNOWN_ADDRESS
    assert read_reason(wrong) is Reason.WRONG_METHOD
    assert (missing.status_code, wrong.status_code) == (404, 405)


def test_a_bug_is_named_as_the_nodes_own_fault(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        message = "secret words"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(type(house.serving.office), "take_view", fail)

    response = house.get("/v1/node")

    assert read_reason(response) is Reason.NODE_FAULT
    assert response.status_code == 500
    assert b"secret" not in response.content


def test_every_reason_has_a_status_that_says_no() -> None:
    assert {get_status(one) // 100 for one in Reason} == {4, 5}


def test_metrics_are_for_this_machine_alone(house: House) -> None:
    assert read_reason(house.get("/metrics")) is Reason.NOT_FOUND


def test_a_clock_that_is_set_back_shuts_nobody_out(house: House) -> None:
    assert house.get("/healthz").status_code == 200

    house.scene.world.clock.advance(-3_600_000)

    assert house.get("/healthz").status_code == 200
