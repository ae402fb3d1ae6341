"""`iamata network`: found a network whose members are served from one home."""

from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption
from iamata.cli.output import show
from iamata.cli.parties import read_member
from iamata.ledger.entries import MemberKind
from iamata.ledger.genesis import compute_network_id
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, require
from iamata.node.configuration import PORT, PORT_MAX
from iamata.node.home import WALLETS_FOLDER, create_home
from iamata.node.network import create_node_homes

app = make_noun("A network of organisations.")


@verb(app, "init")
def init(
    home: HomeOption,
    members: Annotated[
        list[str],
        typer.Option("--member", metavar="ID:KIND:NAME", help="A founder; repeat it."),
    ],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What the network is called.")
    ] = "Iamata network",
    apart: Annotated[  # noqa: FBT002  a switch
        bool, typer.Option("--apart", help="A home for each member, in folders of this one, as nodes.")
    ] = False,
    port: Annotated[
        int,
        typer.Option("--port", min=1, max=PORT_MAX, help="Of the first node; the next ones follow."),
    ] = PORT,
) -> None:
    """Found a network in a new folder: keys, genesis, and a wallet for each first administrator."""
    founders = [read_founder(member) for member in members]
    if apart:
        genesis = create_node_homes(home, name, founders, first_port=port)
    else:
        genesis = create_home(home, name, founders)
    network = compute_network_id(genesis)
    ids = [one.member for one in genesis.founders]
    wallets = home / "…" / WALLETS_FOLDER if apart else home / WALLETS_FOLDER
    show(
        {"network": network, "home": str(home), "members": ids},
        [
            f"Founded network {network} in {home}, with {', '.join(ids)}.",
            f"Administrators' wallets lie in {wallets}; hand each to its owner.",
        ],
    )


def read_founder(text: str) -> tuple[MemberId, str, MemberKind]:
    """Read id:kind:name."""
    member, _, rest = text.partition(":")
    kind, _, name = rest.partition(":")
    is_whole = kind in list(MemberKind) and bool(name)
    require(
        is_whole, Reason.INPUT_INVALID, f"a member is id:kind:name, its kind one of {', '.join(MemberKind)}"
    )
    return read_member(member), name, MemberKind(kind)
