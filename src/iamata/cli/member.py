"""`iamata member`: organisations come, change their keys, and leave."""

from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption, MemberOption, YesOption
from iamata.cli.output import confirm, show, spell_table
from iamata.ledger.entries import MemberKind
from iamata.ledger.tables import MEMBERS
from iamata.ledger.transactions.members import LeaveNetwork
from iamata.model.reasons import Reason, require
from iamata.node import membership
from iamata.node.home import open_home
from iamata.node.words import read_member

DAYS: int = 14
DAYS_MAX: int = 366

app = make_noun("The network's members.")


@verb(app, "list")
def list_(home: HomeOption) -> None:
    """List the members that this home serves."""
    with open_home(home) as opened:
        view = opened.engine.snapshot()
        entries = {member: MEMBERS.find(view, member) for member in opened.offices}
    rows = [
        {"member": member, "name": one.name, "kind": str(one.kind), "status": str(one.status)}
        for member, one in entries.items()
        if one is not None
    ]
    table = [tuple(row.values()) for row in rows]
    show({"members": rows}, spell_table(("member", "name", "kind", "status"), table))


@verb(app, "invite")
def invite(
    home: HomeOption,
    member: MemberOption,
    invited: Annotated[str, typer.Option("--id", metavar="ID", help="Its id from then on.")],
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help=f"{', '.join(MemberKind)}")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is called.")],
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="The new file to hand over: it is a key.")
    ],
    days: Annotated[
        int, typer.Option("--days", min=1, max=DAYS_MAX, help="For how long it stands.")
    ] = DAYS,
) -> None:
    """Offer an organisation a place; the members will vote on it."""
    require(kind in list(MemberKind), Reason.INPUT_INVALID, f"a kind is one of {', '.join(MemberKind)}")
    with membership.speaking_for(home, member) as author:
        invitation = membership.invite(
            author,
            invited=read_member(invited),
            name=name,
            kind=MemberKind(kind),
            days=days,
            to=to,
        )
    show(
        {"invitation": invitation, "member": invited, "file": str(to)},
        [f"{invited} is invited. Hand {to} over in secret; they take it up with: iamata member apply {to}"],
    )


@verb(app, "apply")
def apply(
    home: HomeOption,
    invitation: Annotated[Path, typer.Argument(help="The file that `iamata member invite` wrote.")],
) -> None:
    """Take up an invitation: the new member's keys are made in this home, and the members vote."""
    with open_home(home) as opened:
        member = membership.apply(opened, invitation)
    show(
        {"member": member},
        [f"{member} has applied. Administrators admit it with: iamata proposal open --admit {member}"],
    )


@verb(app, "rotate-key")
def rotate_key(home: HomeOption, member: MemberOption) -> None:
    """Sign with a new key from now on; what the old one signed stays valid. Interrupted, run it again."""
    with open_home(home) as opened:
        key = membership.rotate_signing_key(opened, member=member)
    show({"member": member, "key": key}, [f"{member} signs with {key} from now on."])


@verb(app, "leave")
def leave(
    home: HomeOption,
    member: MemberOption,
    yes: YesOption = False,  # noqa: FBT002  a switch
) -> None:
    """End the membership. What the ledger holds stays, and the patients can still withdraw."""
    confirm(
        f"Let {member} leave the network? It would have to be invited again, as another member.",
        is_agreed=yes,
    )
    with membership.speaking_for(home, member) as author:
        author.submit(LeaveNetwork)
    show({"member": member}, [f"{member} has left the network."])
