"""Who sees what while the ledger gives no finality: `late.txt`, decided anew by the use cases themselves.

It is edited by hand, as `matrix.txt` is: a rule that lets something else out shows here as a diff.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from iamata.consent.terms import Ruling
from iamata.ledger.entries import Role
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.reasons import Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party

MATRIX: Final = Path(__file__).parent / "late.txt"
SHORT: Final = {"plain": "N", "private": "R", "alcohol": "ETH", "mind": "PSY"}
ALL: Final = ("N", "R", "ETH", "PSY")
WIDTH: Final = 18

STAFF: Final = {
    "B's clinician": ("hospital-b", (Role.CLINICIAN,)),
    "B's emergency": ("hospital-b", (Role.CLINICIAN, Role.EMERGENCY)),
    "C's emergency": ("hospital-c", (Role.CLINICIAN, Role.EMERGENCY)),
    "own emergency": ("hospital-a", (Role.CLINICIAN, Role.EMERGENCY)),
}


def ask_with_share(scene: Scene, person: Party) -> str:
    share = offices.share_code(scene.anna, recipient=person.custodian)
    return offices.ask(scene.b, person, scene.anna, share=share)


def ask_declared(scene: Scene, person: Party) -> str:
    """Ask in an emergency that was declared while the ledger still answered."""
    scene.engine.stops_before = False
    emergency = scene.declare(person)
    scene.engine.stops_before = True
    return offices.ask_in_emergency(scene.b, person, scene.anna, emergency)


COLUMNS: Final[dict[str, Callable[[Scene, Party], str]]] = {
    "TREAT": ask_with_share,
    "BTG, declared": ask_declared,
    "BTG, late": lambda scene, person: scene.ask_late(person),
    "TREAT, late": lambda scene, person: scene.ask_late(person, purpose="TREAT"),
}
SITUATIONS: Final[dict[str, Callable[[Scene], object]]] = {
    "Anna has decided nothing": lambda scene: None,
    "Anna permits B: treatment, every category by name": lambda scene: scene.grant(labels=ALL),
    "Anna permits B: emergencies, ordinary records": lambda scene: scene.grant(purposes=("ETREAT",)),
    "Anna denies everybody emergencies": lambda scene: scene.grant(
        decision=Ruling.DENY, labels=(), recipients=(), purposes=("ETREAT",)
    ),
    "Anna permitted B everything for treatment, and withdrew": lambda scene: scene.anna.author.submit(
        WithdrawConsent, consent=scene.grant(labels=ALL)
    ),
}


def test_who_sees_what_while_the_ledger_is_silent_is_what_the_table_says() -> None:
    told = "\n\n".join(describe(title, prepare) for title, prepare in SITUATIONS.items())

    assert told.splitlines() == MATRIX.read_text("utf-8").splitlines()


def describe(title: str, prepare: Callable[[Scene], object]) -> str:
    """Write one situation's table."""
    scene = Scene.make()
    people = {
        name: scene.world.register_person(name, member=member, roles=roles)
        for name, (member, roles) in STAFF.items()
    }
    prepare(scene)
    rows = ["".join(f"{cell:{WIDTH}}" for cell in ("", *COLUMNS)).rstrip()]
    for name, person in people.items():
        cells = [see(scene, person, ask) for ask in COLUMNS.values()]
        rows.append("".join(f"{cell:{WIDTH}}" for cell in (name, *cells)).rstrip())
    return "\n".join([f"# {title}", *rows])


def see(scene: Scene, person: Party, ask: Callable[[Scene, Party], str]) -> str:
    """Tell which labels somebody gets to see while the engine is stopped."""
    scene.b = offices.open_office(scene.world, person.custodian)
    scene.engine.stops_before = True
    try:
        seen = scene.read(ask(scene, person), person=person)
    except Refused:
        seen = []
    scene.engine.stops_before = False
    return " ".join(SHORT[record] for record in SHORT if record in seen) or "-"
