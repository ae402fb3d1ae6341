"""`iamata node`: serve one member's home to others over HTTP."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption
from iamata.cli.output import note, show
from iamata.cli.stopping import until_told_to_stop
from iamata.client.connection import Connection
from iamata.model.ids import MemberId
from iamata.model.instants import format_instant
from iamata.model.reasons import Reason, require
from iamata.node.comet_engine import LOGS_FOLDER
from iamata.node.configuration import (
    PORT_MAX,
    Configuration,
    Follower,
    Tls,
    read_configuration,
    write_configuration,
)
from iamata.node.consensus_keys import change_key, draw_next_key, find_key
from iamata.node.home import load_genesis
from iamata.node.introducing import write_introduction
from iamata.node.introduction import TRUST_DAYS
from iamata.node.joining import check_admitted
from iamata.node.letting_in import change_peers, find_own_peer
from iamata.node.logs import set_up_logs
from iamata.node.running import is_comet, run_nodes, spell_url
from iamata.node.serving import Served, serve_home
from iamata.node.words import read_member
from iamata.wire.bodies import NodeInfo

HostOption = Annotated[
    str | None, typer.Option("--host", metavar="ADDRESS", help="Listen at this address.")
]
PortOption = Annotated[
    int | None, typer.Option("--port", min=0, max=PORT_MAX, help="Listen at this port; 0 takes any.")
]
CertificateOption = Annotated[
    str | None, typer.Option("--certificate", metavar="FILE", help="Serve by TLS; with --key.")
]
CertificateKeyOption = Annotated[
    str | None, typer.Option("--key", metavar="FILE", help="The certificate's private key.")
]
NamesOption = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="HOST:PORT", help="By which name others reach the node; repeat it."),
]
AuthoritiesOption = Annotated[
    str | None, typer.Option("--authorities", metavar="FILE", help="Trust these certificates of peers.")
]
PeersOption = Annotated[
    list[str] | None, typer.Option("--peer", metavar="ID=URL", help="Another member's node; repeat it.")
]
LeaderOption = Annotated[
    str | None, typer.Option("--leader", metavar="URL", help="Follow this node's ledger.")
]
ServedHomeArgument = Annotated[Path, typer.Argument(help="The home to serve.", envvar="IAMATA_HOME")]
ServedMemberOption = Annotated[
    str | None, typer.Option("--member", metavar="ID", help="Which member, where the home serves several.")
]
LogOption = Annotated[
    Path | None,
    typer.Option("--log", metavar="FILE", help="Log to this file; otherwise to the error stream."),
]

app = make_noun("A member's node, which others reach over HTTP.")


@verb(app, "up")
def up(home: ServedHomeArgument, member: ServedMemberOption = None, log: LogOption = None) -> None:
    """Serve a home until you press Ctrl-C, with its CometBFT where it has one, and keep both running."""
    if not is_comet(home):
        serve(home, member, log)
        return
    check_admitted(home)
    url = spell_url(read_configuration(home))
    facts = {"member": home.resolve().name, "url": url}
    lines = [
        f"Serving {home} at {url}, CometBFT beside it; stop with Ctrl-C.",
        f"Logs: {home / LOGS_FOLDER}",
    ]
    with until_told_to_stop() as stopping:
        run_nodes([home], stopping, tell=note, on_ready=lambda: show(facts, lines))


@verb(app, "serve")
def serve(home: ServedHomeArgument, member: ServedMemberOption = None, log: LogOption = None) -> None:
    """Serve a home as `up` does, but start no CometBFT: for where something else keeps it running."""
    set_up_logs(log)

    def announce(served: Served) -> None:
        facts = {"member": served.member, "url": served.url}
        show(facts, [f"Serving {served.member} at {served.url}; stop with Ctrl-C."])

    serve_home(home, member=member, on_ready=announce)


@verb(app, "consensus-key")
def consensus_key(
    home: Annotated[Path, typer.Argument(help="A validator's home.", envvar="IAMATA_HOME")],
    draw: Annotated[  # noqa: FBT002  a switch
        bool, typer.Option("--next", help="Draw the next key, for the members to appoint.")
    ] = False,
    change: Annotated[  # noqa: FBT002  a switch
        bool, typer.Option("--change", help="Vote with the next key from now on; the node must be down.")
    ] = False,
) -> None:
    """Show the key with which a home's CometBFT votes, or change it in two steps."""
    require(not (draw and change), Reason.INPUT_INVALID, "first --next, then --change")
    key = draw_next_key(home) if draw else change_key(home) if change else find_key(home)
    show({"key": key}, [key])


@verb(app, "peers")
def peers(
    home: Annotated[Path, typer.Argument(help="A validator's home.", envvar="IAMATA_HOME")],
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="ID@HOST:PORT", help="Let this CometBFT in; repeat it."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="ID", help="Shut it out; repeat it.")
    ] = None,
) -> None:
    """Show with whom a home's CometBFT speaks, let others in at once, or shut some out."""
    own, named = find_own_peer(home), change_peers(home, add=add or (), remove=remove or ())
    show({"own": own, "peers": named}, [f"{own}  (this one)", *named])


@verb(app, "introduce")
def introduce(
    home: Annotated[Path, typer.Argument(help="A validator's home.", envvar="IAMATA_HOME")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The new file to hand over.")],
) -> None:
    """Write down what a newcomer's node needs: the network, its nodes, and a header to trust."""
    introduction = write_introduction(home, to)
    height = introduction.trusted.header.height
    show(
        {"file": str(to), "network": introduction.network, "height": height, "hash": introduction.hash},
        [
            f"Hand over {to}. It says to trust the header of height {height:,},",
            f"{introduction.hash}. It is no secret, and good for {TRUST_DAYS} days.",
        ],
    )


@verb(app, "configure")
def configure(
    *,
    home: HomeOption,
    host: HostOption = None,
    port: PortOption = None,
    certificate: CertificateOption = None,
    key: CertificateKeyOption = None,
    names: NamesOption = None,
    authorities: AuthoritiesOption = None,
    peers: PeersOption = None,
    leader: LeaderOption = None,
) -> None:
    """Set how a home's node listens and whom it knows; what is not named stays as it is."""
    load_genesis(home)
    require((certificate is None) == (key is None), Reason.INPUT_INVALID, "--certificate goes with --key")
    old = read_configuration(home)
    changes = {
        "host": host,
        "port": port,
        "names": None if names is None else tuple(names),
        "authorities": authorities,
        "peers": None if peers is None else old.peers | dict(map(read_peer, peers)),
        "engine": None if leader is None else Follower(leader=leader),
        "tls": Tls(certificate=certificate, key=key) if certificate and key else None,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    fresh: Configuration = msgspec.structs.replace(old, **given)
    write_configuration(home, fresh)
    facts = msgspec.to_builtins(fresh)
    show({"configuration": facts}, [f"Set {', '.join(given) or 'nothing'} in {home}; restart its node."])


@verb(app, "status")
def status(node: Annotated[str, typer.Argument(metavar="URL", help="The node.")]) -> None:
    """Say whose node answers at a URL, and where its ledger stands."""
    connection = Connection(node)
    info = connection.get("/v1/node", NodeInfo)
    connection.close()
    facts = msgspec.to_builtins(info) | {"time": format_instant(info.time_ms)}
    show(facts, [f"{name.replace('_', ' '):>11}: {value}" for name, value in facts.items()])


def read_peer(text: str) -> tuple[MemberId, str]:
    """Read member=URL."""
    member, is_given, url = text.partition("=")
    require(bool(is_given), Reason.INPUT_INVALID, "a peer is member=URL")
    return read_member(member), url
