"""Who may call which route, as a whole: what the matrix does not grant is denied."""

from pathlib import Path
from typing import Final

import pytest

from house import House
from iamata.api.callers import Access
from iamata.api.routes import ROUTES, Route
from iamata.model.reasons import Reason

MATRIX: Final = Path(__file__).with_name("permissions.txt")
DENIALS: Final = {
    Reason.NOT_SIGNED,
    Reason.UNKNOWN_SIGNER,
    Reason.NOT_A_MEMBER,
    Reason.NOT_THE_PERSON,
    Reason.NOT_THE_PATIENT,
    Reason.NOT_THE_MEMBER,
}
"""How the gate says no."""


def call(house: House, route: Route, who: str) -> bool:
    """Tell whether the gate lets somebody in, whatever the route then makes of an empty body."""
    key, is_question = house.keys[who], route.method == "GET"
    response = house.get(route.path, key) if is_question else house.post(route.path, b"{}", key)
    if response.status_code == 200:
        return True
    reason = Reason(response.json()["reason"])
    is_hidden = reason is Reason.NOT_FOUND and route.access in {Access.MACHINE, Access.PATIENT}
    return reason not in DENIALS and not is_hidden


def test_every_route_serves_whom_the_matrix_names(house: House) -> None:
    lines = []
    for route in ROUTES:
        served = [who for who in house.keys if call(house, route, who)]
        lines.append(f"{route.name}: {', '.join(served) or 'this machine alone'}")

    assert lines == MATRIX.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("who", ["stranger", "unknown key"])
def test_who_is_not_known_gets_nothing_of_the_ledger(house: House, who: str) -> None:
    for route in ROUTES:
        if route.path.startswith("/v1/ledger/"):
            assert not call(house, route, who), route.name


def test_the_matrix_names_every_route_once() -> None:
    named = [line.partition(":")[0] for line in MATRIX.read_text(encoding="utf-8").splitlines()]

    assert named == [route.name for route in ROUTES]
    assert len(dict.fromkeys(named)) == len(named)


def test_a_suspended_member_is_let_in_no_more(house: House) -> None:
    key = house.scene.b.author.key
    assert house.get("/v1/ledger/position", key).status_code == 200

    house.scene.suspend("hospital-b")

    assert house.get("/v1/ledger/position", key).json()["name"] == "MEMBER_NOT_ACTIVE"


def test_a_revoked_person_is_let_in_no_more(house: House) -> None:
    key = house.scene.ben.author.key
    assert house.get("/v1/ledger/position", key).status_code == 200

    house.scene.revoke(house.scene.ben)

    assert house.get("/v1/ledger/position", key).json()["name"] == "UNKNOWN_SIGNER"
