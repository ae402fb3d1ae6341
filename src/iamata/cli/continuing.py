"""`iamata node offer`, `agree`, `continue`: a network goes on, and each home stays with its member."""

from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import verb
from iamata.cli.files import open_new, read_text
from iamata.cli.options import Ordering
from iamata.cli.output import note, show
from iamata.engines.comet.files import TIMEOUT_COMMIT_MS
from iamata.ledger.genesis import compute_network_id
from iamata.ledger.succession import get_predecessor
from iamata.model.reasons import Reason, require
from iamata.node.agreeing import Plan, agree_at_home, offer_home, take_over_home
from iamata.node.words import read_member

HomeArgument = Annotated[Path, typer.Argument(help="The home of one member, whose node is down.")]
FileOption = Annotated[Path, typer.Option("--to", metavar="FILE", help="A new file, for the others.")]
OffersOption = Annotated[
    list[Path], typer.Option("--offer", metavar="FILE", help="A member's offer, one's own too; repeat it.")
]
EngineOption = Annotated[
    Ordering, typer.Option("--engine", help="One node orders from then on; or all do, under CometBFT.")
]
OrdererOption = Annotated[
    str | None, typer.Option("--orderer", metavar="ID", help="Where one orders: which member's node.")
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="ID", help="A member whose home is lost; repeat it."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    verb(app, "offer")(offer)
    verb(app, "agree")(agree)
    verb(app, "continue")(continue_)


def offer(
    home: HomeArgument,
    to: FileOption,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Where others will reach the node.")
    ] = None,
    p2p: Annotated[
        str | None, typer.Option("--p2p", metavar="HOST:PORT", help="Where others will reach its CometBFT.")
    ] = None,
    rpc: Annotated[
        str | None, typer.Option("--rpc", metavar="HOST:PORT", help="Where its CometBFT answers the node.")
    ] = None,
) -> None:
    """Offer the other members to go on from where this home stands."""
    text = offer_home(home, url=url, p2p=p2p, rpc=rpc, tell=note)
    write_line(to, text)
    show({"file": str(to)}, [f"Wrote the offer to {to}; every member needs every offer."])


def agree(
    home: HomeArgument,
    to: FileOption,
    offers: OffersOption,
    engine: EngineOption = Ordering.EMBEDDED,
    orderer: OrdererOption = None,
    without: WithoutOption = None,
) -> None:
    """Agree, as this home's member, that the network goes on as all offers together say."""
    write_line(to, agree_at_home(home, make_plan(offers, engine, orderer, without), tell=note))
    show({"file": str(to)}, [f"Wrote the agreement to {to}; every member needs the same agreements."])


def continue_(
    home: HomeArgument,
    folder: Annotated[Path, typer.Argument(help="A new folder for the home that takes its place.")],
    offers: OffersOption,
    agreements: Annotated[
        list[Path], typer.Option("--agreement", metavar="FILE", help="A member's agreement; repeat it.")
    ],
    engine: EngineOption = Ordering.EMBEDDED,
    orderer: OrdererOption = None,
    without: WithoutOption = None,
    timeout_commit_ms: Annotated[
        int,
        typer.Option("--timeout-commit", min=1, max=60_000, metavar="MS", help="CometBFT's pause."),
    ] = TIMEOUT_COMMIT_MS,
) -> None:
    """Make the home in which this member goes on, once enough members have agreed."""
    plan = make_plan(offers, engine, orderer, without)
    agreed = tuple(read_text(f"@{one}").strip() for one in agreements)
    whole = Plan(plan.offers, plan.orderer, plan.without, agreed, timeout_commit_ms)
    genesis = take_over_home(home, folder, whole, tell=note)
    network, before = compute_network_id(genesis), get_predecessor(genesis)
    show(
        {
            "network": network,
            "continues": {"network": before.network, "height": before.height},
            "home": str(folder),
        },
        [
            f"Network {before.network} goes on from block {before.height:,} as network {network}.",
            "Every member must see this very id; who sees another was handed other files.",
            f"Start the node with: iamata node up {folder}",
        ],
    )


def make_plan(offers: list[Path], engine: Ordering, orderer: str | None, without: list[str] | None) -> Plan:
    """Read the offers, and say who is to order."""
    is_one = engine is Ordering.EMBEDDED
    require(is_one == (orderer is not None), Reason.INPUT_INVALID, "--orderer goes with one that orders")
    return Plan(
        offers=tuple(read_text(f"@{one}").strip() for one in offers),
        orderer=None if orderer is None else read_member(orderer),
        without=tuple(read_member(one) for one in without or []),
    )


def write_line(path: Path, text: str) -> None:
    """Write a new file of one line."""
    with open_new(path) as file:
        if file is not None:
            file.write(text + "\n")
