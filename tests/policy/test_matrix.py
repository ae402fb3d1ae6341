"""Who may see what for which purpose: one readable table, decided anew by the use cases themselves.

A rule that changes who sees what shows here as a diff of `matrix.txt`, which is edited by hand: that is
the review.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

from iamata.consent.terms import Ruling
from iamata.ledger.entries import Role
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.ids import AccessId, MemberId, PersonId
from iamata.model.reasons import Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.workflows import reads

MATRIX: Final = Path(__file__).parent / "matrix.txt"
SHORT: Final = {"plain": "N", "private": "R", "alcohol": "ETH", "mind": "PSY"}
ALL: Final = ("N", "R", "ETH", "PSY")
COLUMNS: Final = (("TREAT", False), ("HRESCH", False), ("BTG", False), ("BTG", True), ("TREAT", True))
HEADS: Final = ("TREAT", "HRESCH", "BTG, not declared", "BTG, declared", "TREAT, declared")
WIDTH: Final = 20

CLINICIAN: Final = (Role.CLINICIAN,)
EMERGENCY: Final = (Role.CLINICIAN, Role.EMERGENCY)
STAFF: Final = {
    "own clinician": ("hospital-a", CLINICIAN),
    "own reviewer": ("hospital-a", (Role.REVIEWER,)),
    "own researcher": ("hospital-a", (Role.RESEARCHER,)),
    "own emergency": ("hospital-a", EMERGENCY),
    "B's clinician": ("hospital-b", CLINICIAN),
    "B's researcher": ("hospital-b", (Role.RESEARCHER,)),
    "B's emergency": ("hospital-b", EMERGENCY),
    "C's clinician": ("hospital-c", CLINICIAN),
    "C's emergency": ("hospital-c", EMERGENCY),
}


def withdraw(scene: Scene) -> None:
    scene.anna.author.submit(WithdrawConsent, consent=scene.grant(labels=ALL))


SITUATIONS: Final[dict[str, Callable[[Scene], object]]] = {
    "Anna has decided nothing": lambda scene: None,
    "Anna permits B: treatment, ordinary records": lambda scene: scene.grant(),
    "Anna permits B: treatment, restricted records": lambda scene: scene.grant(labels=("R",)),
    "Anna permits B: treatment, every category by name": lambda scene: scene.grant(labels=ALL),
    "Anna permits everybody: treatment, no label named": lambda scene: scene.grant(
        labels=(), recipients=()
    ),
    "Anna permits B's researchers: research, ordinary records": lambda scene: scene.grant(
        purposes=("HRESCH",), recipients=("role:researcher",)
    ),
    "Anna permits B: treatment, every category but psychiatry": lambda scene: scene.grant(
        labels=ALL, exceptions=(offices.deny("PSY"),)
    ),
    "Anna permits B: emergencies, ordinary records": lambda scene: scene.grant(purposes=("ETREAT",)),
    "Anna denies everybody treatment": lambda scene: scene.grant(
        decision=Ruling.DENY, labels=(), recipients=(), purposes=("TREAT",)
    ),
    "Anna denies everybody everything": lambda scene: scene.grant(
        decision=Ruling.DENY, labels=(), recipients=(), purposes=()
    ),
    "Anna denies everybody emergencies": lambda scene: scene.grant(
        decision=Ruling.DENY, labels=(), recipients=(), purposes=("ETREAT",)
    ),
    "Anna permitted B everything for treatment, and withdrew": withdraw,
}


def test_who_sees_what_is_what_the_table_says() -> None:
    told = "\n\n".join(describe(title, prepare) for title, prepare in SITUATIONS.items())

    assert told.splitlines() == MATRIX.read_text("utf-8").splitlines()


def describe(title: str, prepare: Callable[[Scene], object]) -> str:
    """Write one situation's table."""
    scene = Scene.make()
    people = {
        name: scene.world.register_person(name, member=member, roles=roles)
        for name, (member, roles) in STAFF.items()
    }
    people["Anna herself"] = Party(scene.anna.id, scene.anna.custodian, scene.anna.author)
    people["an outsider"] = Party(
        scene.world.derive_id("x"), MemberId("regulator"), scene.world.stranger("x")
    )
    prepare(scene)
    rows = ["".join(f"{cell:{WIDTH}}" for cell in ("", *HEADS)).rstrip()]
    for name, person in people.items():
        cells = [see(scene, name, person, *column) for column in COLUMNS]
        rows.append("".join(f"{cell:{WIDTH}}" for cell in (name, *cells)).rstrip())
    return "\n".join([f"# {title}", *rows])


def see(scene: Scene, name: str, person: Party, purpose: str, is_declared: bool) -> str:  # noqa: FBT001  a column
    """Tell which labels somebody gets to see."""
    look = read_inside if name.startswith("own") else ask_outside
    try:
        seen = look(scene, person, purpose, scene.declare(person) if is_declared else None)
    except Refused:
        return "-"
    return " ".join(SHORT[record] for record in SHORT if record in seen)


def read_inside(scene: Scene, person: Party, purpose: str, emergency: AccessId | None) -> list[str]:
    listed = reads.list_records(
        scene.a, person=PersonId(person.id), patient=scene.anna.id, purpose=purpose, emergency=emergency
    )
    return [one.facts.record.partition("/")[2] for one in listed]


def ask_outside(scene: Scene, person: Party, purpose: str, emergency: AccessId | None) -> list[str]:
    """Ask through the node of the person's member; who has none signs alone, as if a node."""
    scene.b = offices.open_office(scene.world, person.custodian)
    is_staff = (
        any(person.custodian == member for member, _ in STAFF.values()) and person.id != scene.anna.id
    )
    asking = scene.b if is_staff else dataclasses.replace(scene.b, author=person.author)
    if emergency is None:
        share = offices.share_code(scene.anna, recipient=person.custodian)
        request = offices.ask(asking, person, scene.anna, purpose=purpose, share=share)
    else:
        request = offices.ask_in_emergency(asking, person, scene.anna, emergency, purpose=purpose)
    received = [scene.receive(one, person=person) for one in scene.answer(request)]
    return [
        record.read_header().facts.record.partition("/")[2] for one in received for record in one.records
    ]
