"""`iamata network`: found a network whose members are served from one home."""

from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption
from iamata.cli.output import show, show_table
from iamata.ledger.entries import MemberKind
from iamata.ledger.genesis import compute_network_id
from iamata.ledger.tables import MEMBERS
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.home import create_home, open_home

app = make_noun("The network and its members.")


@verb(app, "init")
def init(
    home: HomeOption,
    members: Annotated[
        list[str],
        typer.Option("--member", help="A founder as id:kind:name, such as north:hospital:North Hospital."),
    ],
    name: Annotated[str, typer.Option("--name", help="What the network is called.")] = "Iamata network",
) -> None:
    """Found a network in a new folder: keys, genesis, and a wallet for each member's first administrator."""
    genesis = create_home(home, name, [read_founder(member) for member in members])
    network = compute_network_id(genesis)
    show(
        {"network": network, "home": str(home), "members": [one.member for one in genesis.founders]},
        [f"Founded network {network} of {len(genesis.founders)} members in {home}."],
    )


@verb(app, "members")
def list_members(home: HomeOption) -> None:
    """List the members that this home serves."""
    with open_home(home) as opened:
        view = opened.engine.snapshot()
        entries = {member: MEMBERS.find(view, member) for member in opened.offices}
    rows = [
        {"member": member, "name": one.name, "kind": str(one.kind), "status": str(one.status)}
        for member, one in entries.items()
        if one is not None
    ]
    show({"members": rows})
    show_table("Members", ("id", "name", "kind", "status"), [tuple(row.values()) for row in rows])


def read_founder(text: str) -> tuple[MemberId, str, MemberKind]:
    """Read id:kind:name."""
    member, _, rest = text.partition(":")
    kind, _, name = rest.partition(":")
    if kind not in list(MemberKind) or not name:
        kinds = ", ".join(MemberKind)
        raise Refused(Reason.INPUT_INVALID, f"a member is id:kind:name, and its kind one of {kinds}")
    return MemberId(member), name, MemberKind(kind)
