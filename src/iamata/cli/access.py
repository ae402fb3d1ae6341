"""`iamata access`: ask another member for a patient's records."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption, MemberOption, PersonOption
from iamata.cli.output import note, show
from iamata.cli.parties import read_id, read_person
from iamata.cli.share_codes import expand
from iamata.ledger.tables import EMERGENCIES
from iamata.model.ids import AccessId, MemberId, PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home, open_home
from iamata.workflows import disclosures, receiving

app = make_noun("Records that another member keeps.")


@verb(app, "ask")
def ask(
    home: HomeOption,
    member: MemberOption,
    person: PersonOption,
    share: Annotated[
        str | None, typer.Option("--share", metavar="CODE", help="The patient's share code.")
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
    with open_home(home) as opened, open_new(to) as file:
        who = read_person(opened, person, member=member)
        if share is not None:
            custodian, request = ask_by_share(opened, member, who, share, purpose or "TREAT")
        else:
            custodian, request = ask_by_emergency(opened, member, who, str(emergency), purpose or "BTG")
        bodies = fetch(opened, request, member=member, custodian=custodian, person=who)
        if file is not None:
            file.writelines(f"{body}\n" for body in bodies)
    facts = {"records": len(bodies), "custodian": custodian, "may_be_incomplete": True}
    show(facts | ({} if to else {"bodies": bodies}), [] if to else bodies)
    note(f"{len(bodies)} records from {custodian}; this view may be incomplete.")


def ask_by_share(
    home: Home, member: str, person: PersonId, share: str, purpose: str
) -> tuple[MemberId, str]:
    """Write a request with a share code; the code says who the custodian is."""
    office = home.get_office(member)
    custodian, statement = expand(home, share, recipient=office.member)
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


def fetch(home: Home, request: str, *, member: str, custodian: MemberId, person: PersonId) -> list[str]:
    """Let the custodian answer, open what it releases, and confirm it."""
    keeper, office = home.get_office(custodian), home.get_office(member)
    bodies: list[str] = []
    for release in disclosures.answer_request(keeper, request):
        received = receiving.receive(office, release, custodian=custodian, person=person)
        disclosures.accept_receipt(keeper, received.receipt)
        bodies.extend(record.body.decode("utf-8") for record in received.records)
    return bodies


@contextlib.contextmanager
def open_new(path: Path | None) -> Iterator[TextIO | None]:
    """Open a new file for its owner alone, before anything is asked for; remove it after a refusal."""
    if path is None:
        yield None
        return
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise Refused(Reason.HOME_ALREADY_EXISTS, str(path)) from error
    try:
        with path.open("w", encoding="utf-8") as file:
            yield file
    except Refused:
        path.unlink()
        raise
