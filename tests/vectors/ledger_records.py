"""Cases of records: anchored and erased."""

from typing import Any

from iamata.ledger.transactions.records import AnchorRecords, EraseRecords
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from ledger_patients import erase

CASES = Cases("records")


def anchor(world: World) -> dict[str, Any]:
    """Describe an anchor over twelve records."""
    return {"anchor": world.derive_id("anchor"), "root": world.derive_commitment("root"), "count": 12}


def write_erasure(world: World, patient: Party, *, member: str = "hospital-a") -> bytes:
    """Write an erasure."""
    statement = world.derive_commitment("statement")
    return world.node(member).author.write(EraseRecords, patient=patient.id, statement=statement, count=3)


@CASES.add("records.anchored", "LED-REC-1", why="One root stands for many records.")
def accepts_records_anchor(world: World) -> bytes:
    return world.node("hospital-a").author.write(AnchorRecords, **anchor(world))


@CASES.add(
    Reason.ANCHOR_ALREADY_EXISTS, "LED-REC-1", why="An anchor's id is used once, by whoever comes first."
)
def anchor_twice(world: World) -> bytes:
    world.node("hospital-a").author.submit(AnchorRecords, **anchor(world))
    return world.node("hospital-b").author.write(AnchorRecords, **anchor(world))


@CASES.add(Reason.MALFORMED, "LED-REC-2", why="An anchor over nothing says nothing.")
def anchor_nothing(world: World) -> bytes:
    return world.node("hospital-a").author.write(AnchorRecords, **(anchor(world) | {"count": 0}))


@CASES.add("records.erased", "LED-REC-3", "LED-REC-4", why="An erasure leaves a trace, and nothing else.")
def accepts_records_erase(world: World) -> bytes:
    return write_erasure(world, world.enrol_patient("anna", custodian="hospital-a"))


@CASES.add(Reason.UNKNOWN_PATIENT, "LED-REC-3", why="There is nobody to erase.")
def erase_nobody(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    nobody = Party(id=world.derive_id("nobody"), custodian=anna.custodian, author=anna.author)
    return write_erasure(world, nobody)


@CASES.add(Reason.NOT_THE_CUSTODIAN, "LED-REC-3", why="Only the custodian can destroy the key.")
def erase_a_patient_of_another(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    return write_erasure(world, anna, member="hospital-b")


@CASES.add(Reason.PATIENT_ERASED, "LED-REC-3", why="An erasure happens once.")
def erase_twice(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    erase(world, anna)
    return write_erasure(world, anna)
