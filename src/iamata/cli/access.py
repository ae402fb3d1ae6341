"""`iamata access`: ask another member for a patient's records."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import open_new, read_text
from iamata.cli.options import ForOption, PersonOption
from iamata.cli.output import note, show
from iamata.cli.parties import read_asker, read_id
from iamata.cli.places import NodeOption, PlaceOption, open_place
from iamata.client.staff import StaffClient
from iamata.consent.permits import PART_2_NOTICE, Obligation
from iamata.ledger.tables import EMERGENCIES
from iamata.model.ids import AccessId, MemberId, PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.places import RemotePlace
from iamata.wire.bodies import Arrival, Reading
from iamata.workflows import receiving
from iamata.workflows.share_codes import expand

NOTICES: Final = {
    PART_2_NOTICE: "42 CFR part 2 prohibits unauthorized use or disclosure of these records.",
}
"""What a notice says to whoever holds the records (42 CFR 2.32 (a) (2))."""
LOST: Final = "the records were not kept; a share code that was used is used up, so ask for a new one"

app = make_noun("Records that another member keeps.")


@verb(app, "ask")
def ask(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    member: ForOption = None,
    person: PersonOption,
    share: Annotated[
        str | None,
        typer.Option(
            "--share", metavar="CODE", help="The patient's share code, @FILE, or - for the input."
        ),
    ] = None,
    emergency: Annotated[
        str | None, typer.Option("--emergency", metavar="ID", help="The emergency that you declared.")
    ] = None,
    declaration: Annotated[
        str | None,
        typer.Option(
            "--declaration",
            metavar="@FILE",
            help="The emergency that you declared without the ledger, or - for the input.",
        ),
    ] = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", metavar="CODE", help="TREAT, or BTG in an emergency.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write the records to this new file.")
    ] = None,
) -> None:
    """Ask for a patient's records by share code, or in a declared emergency. The patient will see it."""
    pointer = read_pointer(share, emergency, declaration, purpose)
    with open_place(home, node, Path(person)) as place, open_new(to) as file:
        if isinstance(place, RemotePlace):
            reading = fetch_at_node(place.staff, pointer)
        else:
            reading = fetch_at_home(place, pointer, member=member, person=person)
        write_bodies(file, list_bodies(reading))
        confirm_all(place, reading)
    show_arrived(reading, is_written=to is not None)


@dataclasses.dataclass(frozen=True, slots=True)
class Pointer:
    """How a patient is pointed to, and what for."""

    share: str | None
    emergency: AccessId | None
    declaration: str | None
    purpose: str


def read_pointer(
    share: str | None, emergency: str | None, declaration: str | None, purpose: str | None
) -> Pointer:
    """Read the one way in which a patient is pointed to; each has its own usual purpose."""
    given = [one for one in (share, emergency, declaration) if one is not None]
    is_one = len(given) == 1
    require(is_one, Reason.INPUT_INVALID, "give one of --share, --emergency and --declaration")
    return Pointer(
        share=None if share is None else read_text(share),
        emergency=None if emergency is None else read_id(emergency, AccessId),
        declaration=None if declaration is None else read_text(declaration),
        purpose=purpose or ("BTG" if share is None else "TREAT"),
    )


def fetch_at_node(staff: StaffClient, pointer: Pointer) -> Reading:
    """Let one's own node ask the custodian's."""
    if pointer.declaration is not None:
        return staff.fetch_late(pointer.declaration, purpose=pointer.purpose)
    if pointer.emergency is not None:
        return staff.fetch_in_emergency(pointer.emergency, purpose=pointer.purpose)
    return staff.fetch_by_share(str(pointer.share), purpose=pointer.purpose)


def fetch_at_home(home: Home, pointer: Pointer, *, member: str | None, person: str) -> Reading:
    """Ask the custodian from a home."""
    if member is None:
        raise Refused(Reason.INPUT_INVALID, "at a home, say for which --member")
    who = read_asker(home, person, member=member)
    if pointer.declaration is not None:
        custodian, request = receiving.ask_late(
            home.get_office(member), person=who, purpose=pointer.purpose, declaration=pointer.declaration
        )
    elif pointer.emergency is not None:
        custodian, request = ask_by_emergency(home, member, who, pointer.emergency, pointer.purpose)
    else:
        custodian, request = ask_by_share(home, member, who, str(pointer.share), pointer.purpose)
    arrived = receiving.fetch(
        home.get_office(member),
        request,
        custodian=custodian,
        person=who,
        answer=home.get_desk(custodian).answer_request,
    )
    return Reading(custodian=custodian, arrivals=tuple(map(Arrival.write, arrived)))


def show_arrived(reading: Reading, *, is_written: bool) -> None:
    """Show what arrived, unless it went into a file, and what must stay with it."""
    bodies = list_bodies(reading)
    obligations = [obligation for one in reading.arrivals for obligation in one.obligations]
    facts = {
        "records": len(bodies),
        "custodian": reading.custodian,
        "may_be_incomplete": True,
        "obligations": obligations,
    }
    show(facts | ({} if is_written else {"bodies": bodies}), [] if is_written else bodies)
    note(f"{len(bodies)} records from {reading.custodian}; this view may be incomplete.")
    for line in spell_obligations(obligations):
        note(line)


def list_bodies(reading: Reading) -> list[str]:
    """List the records that arrived, as their custodian keeps them."""
    return [record for one in reading.arrivals for record in one.records]


def ask_by_share(
    home: Home, member: str, person: PersonId, share: str, purpose: str
) -> tuple[MemberId, str]:
    """Write a request with a share code; the code says who the custodian is."""
    office = home.get_office(member)
    custodian, statement = expand(home.engine, share, recipient=office.member)
    request = receiving.ask_with_share(
        office, custodian=custodian, person=person, purpose=purpose, share=statement
    )
    return custodian, request


def ask_by_emergency(
    home: Home, member: str, person: PersonId, emergency: AccessId, purpose: str
) -> tuple[MemberId, str]:
    """Write a request with a declared emergency; the ledger says who the custodian is."""
    office = home.get_office(member)
    entry = EMERGENCIES.find(home.engine.snapshot(), emergency)
    if entry is None:
        raise Refused(Reason.UNKNOWN_EMERGENCY, emergency)
    request = receiving.ask_in_emergency(
        office, custodian=entry.custodian, person=person, purpose=purpose, emergency=emergency
    )
    return entry.custodian, request


def write_bodies(file: TextIO | None, bodies: Sequence[str]) -> None:
    """Make records durable before anybody confirms that they arrived."""
    if file is None:
        return
    try:
        file.writelines(f"{body}\n" for body in bodies)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; {LOST}") from error


def confirm_all(place: Home | RemotePlace, reading: Reading) -> None:
    """Give the custodian the receipts: only now is there something to confirm."""
    receipts = [one.receipt for one in reading.arrivals]
    if isinstance(place, RemotePlace):
        place.staff.confirm(reading.custodian, receipts)
        return
    desk = place.get_desk(reading.custodian)
    for receipt in receipts:
        desk.accept_receipt(receipt)


def spell_obligations(obligations: Sequence[Obligation]) -> list[str]:
    """Say what must stay with some of the records wherever they go."""
    lines: list[str] = []
    for one in obligations:
        basis = f"consent {one.consent}" if one.consent else "no consent"
        lines += [f"Notice {one.notice}, with {len(one.records)} of these records, on {basis}:"]
        lines += [f"  {line}" for line in (NOTICES.get(one.notice, one.code), *one.scope)]
    return lines
