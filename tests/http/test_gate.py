"""Forged, replayed, late, oversized and too many requests are refused by name, in one shape."""

import pytest

from house import House, read_reason
from iamata.api import limits
from iamata.api.nonces import Nonces
from iamata.api.rates import Rates
from iamata.model.ids import KeyId, Nonce
from iamata.model.reasons import Reason, Refused
from iamata.testing.surface import sign
from iamata.wire.refusals import get_status
from iamata.wire.signatures import Proof

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
