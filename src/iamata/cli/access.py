"""`iamata access`: ask another member for a patient's records."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import open_new, read_text
from iamata.cli.options import HomeOption, MemberOption, PersonOption
from iamata.cli.output import note, show
from iamata.cli.parties import read_asker, read_id
from iamata.consent.permits import PART_2_NOTICE, Obligation
from iamata.ledger.tables import EMERGENCIES
from iamata.model.ids import AccessId, MemberId, PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home, open_home
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
    home: HomeOption,
    member: MemberOption,
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
    purpose: Annotated[
        str | None, typer.Option("--purpose", metavar="CODE", help="TREAT, or BTG in an emergency.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write the records to this new file.")
    ] = None,
) -> None:
    """Ask for a patient's records by share code, or in a declared emergency. The patient will see it."""
    is_one = (share is None) != (emergency is None)
    require(is_one, Reason.INPUT_INVALID, "give either --share or --emergency")
    with open_home(home) as opened:
        with open_new(to) as file:
            who = read_asker(opened, person, member=member)
            if share is not None:
                code = read_text(share)
                custodian, request = ask_by_share(opened, member, who, code, purpose or "TREAT")
            else:
                custodian, request = ask_by_emergency(opened, member, who, str(emergency), purpose or "BTG")
            arrived = receive_all(opened, request, member=member, custodian=custodian, person=who)
            write_bodies(file, list_bodies(arrived))
        confirm_all(opened, arrived, custodian=custodian)
    show_arrived(arrived, custodian, is_written=to is not None)


def show_arrived(arrived: Sequence[receiving.Received], custodian: MemberId, *, is_written: bool) -> None:
    """Show what arrived, unless it went into a file, and what must stay with it."""
    bodies = list_bodies(arrived)
    obligations = [obligation for one in arrived for obligation in one.obligations]
    facts = {
        "records": len(bodies),
        "custodian": custodian,
        "may_be_incomplete": True,
        "obligations": obligations,
    }
    show(facts | ({} if is_written else {"bodies": bodies}), [] if is_written else bodies)
    note(f"{len(bodies)} records from {custodian}; this view may be incomplete.")
    for line in spell_obligations(obligations):
        note(line)


def list_bodies(arrived: Sequence[receiving.Received]) -> list[str]:
    """List the records that arrived, as their custodian keeps them."""
    return [record.body.decode("utf-8") for one in arrived for record in one.records]


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
    home: Home, member: str, person: PersonId, emergency: str, purpose: str
) -> tuple[MemberId, str]:
    """Write a request with a declared emergency; the ledger says who the custodian is."""
    office, declared = home.get_office(member), read_id(emergency, AccessId)
    entry = EMERGENCIES.find(home.engine.snapshot(), declared)
    if entry is None:
        raise Refused(Reason.UNKNOWN_EMERGENCY, declared)
    request = receiving.ask_in_emergency(
        office, custodian=entry.custodian, person=person, purpose=purpose, emergency=declared
    )
    return entry.custodian, request


def receive_all(
    home: Home, request: str, *, member: str, custodian: MemberId, person: PersonId
) -> list[receiving.Received]:
    """Let the custodian answer, and open what it releases."""
    answer = home.get_desk(custodian).answer_request
    return receiving.fetch(
        home.get_office(member), request, custodian=custodian, person=person, answer=answer
    )


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


def confirm_all(home: Home, arrived: Sequence[receiving.Received], *, custodian: MemberId) -> None:
    """Give the custodian the receipts: only now is there something to confirm."""
    desk = home.get_desk(custodian)
    for one in arrived:
        desk.accept_receipt(one.receipt)


def spell_obligations(obligations: Sequence[Obligation]) -> list[str]:
    """Say what must stay with some of the records wherever they go."""
    lines: list[str] = []
    for one in obligations:
        basis = f"consent {one.consent}" if one.consent else "no consent"
        lines += [f"Notice {one.notice}, with {len(one.records)} of these records, on {basis}:"]
        lines += [f"  {line}" for line in (NOTICES.get(one.notice, one.code), *one.scope)]
    return lines
