"""`iamata access`: ask another member for a patient's records."""

from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import CustodianOption, HomeOption, MemberOption, PersonOption, PurposeOption
from iamata.cli.output import show
from iamata.model.ids import AccessId, MemberId, PersonId
from iamata.model.reasons import Reason, Refused
from iamata.node.home import Home, open_home
from iamata.workflows import disclosures, receiving

app = make_noun("Records that another member keeps.")

ToOption = Annotated[Path | None, typer.Option("--to", help="Write the records to this new file, one a line.")]


@verb(app, "ask")
def ask(  # noqa: PLR0913  who, whom, what for, and by what right
    home: HomeOption,
    member: MemberOption,
    custodian: CustodianOption,
    person: PersonOption,
    share: Annotated[str | None, typer.Option("--share", help="The patient's share code.")] = None,
    emergency: Annotated[str | None, typer.Option("--emergency", help="The emergency, by id.")] = None,
    purpose: PurposeOption = "TREAT",
    to: ToOption = None,
) -> None:
    """Ask with the patient's share code, or in a declared emergency. The patient will see it."""
    if (share is None) == (emergency is None):
        raise Refused(Reason.INPUT_INVALID, "give either --share or --emergency")
    with open_home(home) as opened:
        office, who = opened.get_office(member), PersonId(person)
        if share is not None:
            request = receiving.ask_with_share(
                office, custodian=MemberId(custodian), person=who, purpose=purpose, share=share
            )
        else:
            request = receiving.ask_in_emergency(
                office,
                custodian=MemberId(custodian),
                person=who,
                purpose=purpose,
                emergency=AccessId(str(emergency)),
            )
        bodies = fetch(opened, request, member=member, custodian=custodian, person=who)
    if to is not None:
        write_bodies(to, bodies)
    facts = {"records": len(bodies), "may_be_incomplete": True, **({"bodies": bodies} if to is None else {})}
    show(facts, [*([] if to else bodies), f"{len(bodies)} records; this view may be incomplete."])


def fetch(home: Home, request: str, *, member: str, custodian: str, person: PersonId) -> list[str]:
    """Let the custodian answer, open what it releases, and confirm it."""
    keeper, office = home.get_office(custodian), home.get_office(member)
    bodies: list[str] = []
    for release in disclosures.answer_request(keeper, request):
        received = receiving.receive(office, release, custodian=MemberId(custodian), person=person)
        disclosures.accept_receipt(keeper, received.receipt)
        bodies.extend(record.body.decode("utf-8") for record in received.records)
    return bodies


def write_bodies(path: Path, bodies: list[str]) -> None:
    """Write records to a new file that only its owner can read."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise Refused(Reason.HOME_ALREADY_EXISTS, str(path)) from error
    path.write_text("".join(f"{body}\n" for body in bodies), "utf-8")
