"""`iamata network`: found a network, run its nodes on this machine, and see how they stand."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.live import Live
from rich.table import Table

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import Ordering
from iamata.cli.output import IS_JSON, note, show, spell_table
from iamata.cli.stopping import until_told_to_stop
from iamata.engines.comet.files import TIMEOUT_COMMIT_MS
from iamata.ledger.entries import MemberKind
from iamata.ledger.genesis import Genesis, compute_network_id
from iamata.ledger.succession import get_predecessor
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.comet_home import LOOPBACK
from iamata.node.configuration import PORT, PORT_MAX, read_configuration
from iamata.node.continuing import continue_as_validators, continue_under_one, hold_network
from iamata.node.home import MEMBERS_MAX, WALLETS_FOLDER, create_home
from iamata.node.joining import Listening, join
from iamata.node.network import create_node_homes
from iamata.node.running import await_nodes, list_homes, run_nodes, spell_url
from iamata.node.surveying import NodeStanding, survey
from iamata.node.validators import create_validator_homes
from iamata.node.words import read_member

REFRESH_S: Final = 1.0
CAST: Final = (
    "north-hospital:hospital:North Hospital",
    "south-hospital:hospital:South Hospital",
    "lake-hospital:hospital:Lake Hospital",
    "regulator:regulator:Health Data Authority",
)
"""Who founds a network for which only a number of members was given; then further hospitals."""
COLUMNS: Final = ("member", "url", "engine", "height", "lag", "peers", "power", "state")

app = make_noun("A network of organisations.")


FolderArgument = Annotated[
    Path | None, typer.Argument(help="A new folder, in which each member gets a home.")
]
OneHomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="FOLDER", help="Instead: one home for all.", envvar="IAMATA_HOME"),
]
FoundersOption = Annotated[
    list[str] | None, typer.Option("--member", metavar="ID:KIND:NAME", help="A founder; repeat it.")
]
CountOption = Annotated[
    int | None,
    typer.Option("--members", min=1, max=MEMBERS_MAX, help="Instead: so many founders, named for you."),
]
NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="What the network is called.")]
EngineOption = Annotated[
    Ordering, typer.Option("--engine", help="One node orders; or all do, under CometBFT.")
]
ApartOption = Annotated[
    bool, typer.Option("--apart", help="With --home: a home for each member, in folders of this one.")
]
PortOption = Annotated[
    int, typer.Option("--port", min=1, max=PORT_MAX, help="Of the first node; the next ones follow.")
]
HostOption = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Where the node and its CometBFT listen.")
]
P2pPortOption = Annotated[
    int | None,
    typer.Option("--p2p-port", min=1, max=PORT_MAX, help="Where the others' CometBFT reach it; else any."),
]
RpcPortOption = Annotated[
    int | None,
    typer.Option("--rpc-port", min=1, max=PORT_MAX, help="Where CometBFT answers the node; else any."),
]
AuthoritiesOption = Annotated[
    Path | None,
    typer.Option("--authorities", metavar="FILE", help="Trust these certificates of members' nodes."),
]
PauseOption = Annotated[
    int,
    typer.Option(
        "--timeout-commit", min=1, max=60_000, metavar="MS", help="CometBFT's pause between two blocks."
    ),
]


@verb(app, "init")
def init(
    folder: FolderArgument = None,
    home: OneHomeOption = None,
    members: FoundersOption = None,
    count: CountOption = None,
    name: NameOption = "Iamata network",
    engine: EngineOption = Ordering.EMBEDDED,
    apart: ApartOption = False,  # noqa: FBT002  a switch
    port: PortOption = PORT,
    timeout_commit_ms: PauseOption = TIMEOUT_COMMIT_MS,
) -> None:
    """Found a network in a new folder: keys, genesis, and a wallet for each first administrator."""
    path, is_apart = folder or home, apart or folder is not None
    if path is None:
        raise Refused(Reason.INPUT_INVALID, "name a folder, or --home")
    founders = [read_founder(member) for member in list_founders(members, count)]
    if engine is Ordering.COMET:
        require(is_apart, Reason.INPUT_INVALID, "each validator needs a home: name a folder, not --home")
        genesis = create_validator_homes(
            path, name, founders, first_port=port, timeout_commit_ms=timeout_commit_ms
        )
    elif is_apart:
        genesis = create_node_homes(path, name, founders, first_port=port)
    else:
        genesis = create_home(path, name, founders)
    announce(genesis, path, is_apart=is_apart)


def announce(genesis: Genesis, path: Path, *, is_apart: bool) -> None:
    """Say what was founded, and what comes next."""
    network = compute_network_id(genesis)
    ids = [one.member for one in genesis.founders]
    wallets = path / "…" / WALLETS_FOLDER if is_apart else path / WALLETS_FOLDER
    lines = [
        f"Founded network {network} in {path}, with {', '.join(ids)}.",
        f"Administrators' wallets lie in {wallets}; hand each to its owner.",
    ]
    if is_apart:
        lines.append(f"Start its nodes with: iamata network up {path}")
    show({"network": network, "home": str(path), "members": ids}, lines)


@verb(app, "join")
def join_(
    home: Annotated[Path, typer.Argument(help="A new folder: the newcomer's home.")],
    *,
    invitation: Annotated[
        Path, typer.Option("--invitation", metavar="FILE", help="What `iamata member invite` wrote.")
    ],
    introduction: Annotated[
        Path, typer.Option("--introduction", metavar="FILE", help="What `iamata node introduce` wrote.")
    ],
    host: HostOption = LOOPBACK,
    port: PortOption = PORT,
    p2p_port: P2pPortOption = None,
    rpc_port: RpcPortOption = None,
    authorities: AuthoritiesOption = None,
    timeout_commit_ms: PauseOption = TIMEOUT_COMMIT_MS,
) -> None:
    """Come to a network that runs: make a home and apply. Interrupted, run it again."""
    place = Listening(
        host=host,
        port=port,
        p2p_port=p2p_port,
        rpc_port=rpc_port,
        timeout_commit_ms=timeout_commit_ms,
        authorities=None if authorities is None else authorities.resolve(),
    )
    joined = join(home, invitation, introduction, place)
    facts = {"member": joined.member, "home": str(home), "network": joined.network}
    show(
        facts | {"peer": joined.peer, "key": joined.key},
        [
            f"{joined.member} has applied. Administrators admit it with:",
            f"  iamata proposal open --admit {joined.member}",
            "Every member lets its CometBFT in with:",
            f"  iamata node peers … --add {joined.peer}",
            f"Then start it with: iamata node up {home}",
            "When it is in step, administrators let it order with:",
            f"  iamata proposal open --validator {joined.member}:{joined.key}:1",
        ],
    )


@verb(app, "continue")
def continue_(
    source: Annotated[
        Path, typer.Argument(help="The home, or the folder of homes, whose network is to go on.")
    ],
    folder: Annotated[Path, typer.Argument(help="A new folder, in which each member gets a home.")],
    engine: EngineOption = Ordering.EMBEDDED,
    orderer: Annotated[
        str | None,
        typer.Option("--orderer", metavar="ID", help="Where one orders: which; else who did."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="ID", help="A member whose home is lost; repeat it."),
    ] = None,
    port: PortOption = PORT,
    timeout_commit_ms: PauseOption = TIMEOUT_COMMIT_MS,
) -> None:
    """Let a network go on under another genesis and other orderers, with all that it had."""
    lost = [read_member(one) for one in without or []]
    leader = None if orderer is None else read_member(orderer)
    is_comet = engine is Ordering.COMET
    require(leader is None or not is_comet, Reason.INPUT_INVALID, "where all order together, no one does")
    with hold_network(source, folder, without=lost, tell=note) as old:
        if is_comet:
            genesis = continue_as_validators(
                old, folder, first_port=port, timeout_commit_ms=timeout_commit_ms
            )
        else:
            genesis = continue_under_one(old, folder, orderer=leader, first_port=port)
    announce_continuation(genesis, folder)


def announce_continuation(genesis: Genesis, folder: Path) -> None:
    """Say what goes on as what, and what comes next."""
    network, before = compute_network_id(genesis), get_predecessor(genesis)
    members = [home.name for home in list_homes(folder)]
    show(
        {
            "network": network,
            "continues": {"network": before.network, "height": before.height},
            "home": str(folder),
            "members": members,
        },
        [
            f"Network {before.network} goes on from block {before.height:,}",
            f"as network {network} in {folder}, with {', '.join(members)}.",
            "The old homes are marked, and nobody can open them again; keep them until you have checked:",
            f"  iamata verify {folder}",
            f"Start its nodes with: iamata network up {folder}",
            "Wallets that lie elsewhere follow with: iamata wallet follow",
        ],
    )


@verb(app, "up")
def up(folder: Annotated[Path, typer.Argument(help="The folder in which the members' homes lie.")]) -> None:
    """Run the nodes of all homes in a folder, and keep them running, until you press Ctrl-C."""
    homes = list_homes(folder)
    urls = {home.name: spell_url(read_configuration(home)) for home in homes}
    lines = [*(f"{name:>20}  {url}" for name, url in urls.items()), "All nodes answer; stop with Ctrl-C."]
    with until_told_to_stop() as stopping:
        run_nodes(homes, stopping, tell=note, on_ready=lambda: show({"nodes": urls}, lines))


@verb(app, "status")
def status(
    folder: Annotated[Path, typer.Argument(help="The folder in which the members' homes lie.")],
    watch: Annotated[  # noqa: FBT002  a switch
        bool, typer.Option("--watch", help="Look again every second, until you press Ctrl-C.")
    ] = False,
    wait: Annotated[  # noqa: FBT002  a switch
        bool, typer.Option("--wait", help="Wait until every node answers, two minutes at most.")
    ] = False,
) -> None:
    """Show how each node stands: its height, how far it lags, its peers, and the weight of its vote."""
    homes = list_homes(folder)
    if wait:
        await_nodes(homes)
    if watch and not IS_JSON.get():
        with until_told_to_stop() as stopping, Live(make_table(survey(homes))) as live:
            while not stopping.wait(REFRESH_S):
                live.update(make_table(survey(homes)))
        return
    standings = survey(homes)
    rows = [describe_standing(one) for one in standings]
    show({"nodes": [dataclasses.asdict(one) for one in standings]}, spell_table(COLUMNS, rows))


def make_table(standings: Sequence[NodeStanding]) -> Table:
    """Draw a table of nodes."""
    table = Table(*COLUMNS, box=None)
    for one in standings:
        table.add_row(*describe_standing(one))
    return table


def describe_standing(one: NodeStanding) -> list[str]:
    """Write a node's line."""
    figures = [one.height, one.lag, one.peers, one.power]
    is_alone = one.engine == Ordering.COMET and one.is_catching_up is None
    state = "catching up" if one.is_catching_up else "starting" if is_alone else "in step"
    state = "no answer" if one.height is None else state
    return [one.member, one.url, one.engine, *("-" if it is None else f"{it:,}" for it in figures), state]


def list_founders(members: list[str] | None, count: int | None) -> list[str]:
    """List who founds: those who were named, or so many of our own naming."""
    require((members is None) != (count is None), Reason.INPUT_INVALID, "give --member, or --members")
    more = (
        f"hospital-{place}:hospital:Hospital {place}" for place in range(len(CAST) + 1, MEMBERS_MAX + 1)
    )
    return members or list(itertools.islice((*CAST, *more), count))


def read_founder(text: str) -> tuple[MemberId, str, MemberKind]:
    """Read id:kind:name."""
    member, _, rest = text.partition(":")
    kind, _, name = rest.partition(":")
    is_whole = kind in list(MemberKind) and bool(name)
    require(
        is_whole, Reason.INPUT_INVALID, f"a member is id:kind:name, its kind one of {', '.join(MemberKind)}"
    )
    return read_member(member), name, MemberKind(kind)
