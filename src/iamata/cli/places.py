"""Where a command works: in a home on this disk, or at a node. Options, and how they are opened."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from iamata.model.ids import NetworkId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home, open_home
from iamata.node.places import RemotePlace, open_node
from iamata.stores.private_files import hold_folder

PlaceOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="FOLDER", help="The folder of the home.", envvar="IAMATA_HOME"),
]
NodeOption = Annotated[
    str | None,
    typer.Option(
        "--node", metavar="URL", help="Ask this node instead of opening a home.", envvar="IAMATA_NODE"
    ),
]
KeyOption = Annotated[
    Path | None, typer.Option("--wallet", metavar="FOLDER", help="With --node: whose key asks.")
]


@contextlib.contextmanager
def open_place(
    home: Path | None, node: str | None, wallet: Path | None, *, network: NetworkId | None = None
) -> Iterator[Home | RemotePlace]:
    """Open a home, or speak to a node with a wallet's key; a node that is named goes first.

    One command at a time works with a wallet: what another writes meanwhile would be lost, a key of it too.
    """
    with contextlib.ExitStack() as stack:
        if wallet is not None:
            stack.enter_context(hold_folder(wallet))
        if node is not None:
            if wallet is None:
                raise Refused(Reason.INPUT_INVALID, "a node wants to know who asks: --wallet")
            yield stack.enter_context(open_node(node, wallet, network=network))
            return
        if home is None:
            raise Refused(Reason.INPUT_INVALID, "say where with --home or --node")
        yield stack.enter_context(open_home(home))


def get_home(place: Home | RemotePlace, what: str) -> Home:
    """Return the home that a command needs, or refuse where there is only a node."""
    require(isinstance(place, Home), Reason.INPUT_INVALID, f"{what} needs --home")
    if not isinstance(place, Home):
        raise TypeError(place)
    return place
