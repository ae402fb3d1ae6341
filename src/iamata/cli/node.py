"""`iamata node`: serve one member's home to others over HTTP."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption
from iamata.cli.output import show
from iamata.cli.parties import read_member
from iamata.client.connection import Connection
from iamata.model.ids import MemberId
from iamata.model.instants import format_instant
from iamata.model.reasons import Reason, require
from iamata.node.configuration import (
    PORT_MAX,
    Configuration,
    Follower,
    Tls,
    read_configuration,
    write_configuration,
)
from iamata.node.home import load_genesis
from iamata.node.logs import set_up_logs
from iamata.node.serving import Served, serve_home
from iamata.wire.bodies import NodeInfo

app = make_noun("A member's node, which others reach over HTTP.")


@verb(app, "up")
def up(
    home: Annotated[Path, typer.Argument(help="The home to serve.", envvar="IAMATA_HOME")],
    member: Annotated[
        str | None,
        typer.Option("--member", metavar="ID", help="Which member, where the home serves several."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="Log to this file; otherwise to the error stream."),
    ] = None,
) -> None:
    """Serve a home until you press Ctrl-C, or the process is told to stop."""
    set_up_logs(log)

    def announce(served: Served) -> None:
        facts = {"member": served.member, "url": served.url}
        show(facts, [f"Serving {served.member} at {served.url}; stop with Ctrl-C."])

    serve_home(home, member=member, on_ready=announce)


@verb(app, "configure")
def configure(
    home: HomeOption,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Listen at this address.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=PORT_MAX, help="Listen at this port; 0 takes any.")
    ] = None,
    certificate: Annotated[
        str | None, typer.Option("--certificate", metavar="FILE", help="TLS, with --key.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="The certificate's private key.")
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST:PORT", help="By which name others reach the node; repeat it."),
    ] = None,
    authorities: Annotated[
        str | None, typer.Option("--authorities", metavar="FILE", help="Trust these certificates of peers.")
    ] = None,
    peers: Annotated[
        list[str] | None, typer.Option("--peer", metavar="ID=URL", help="Another member's node; repeat it.")
    ] = None,
    leader: Annotated[
        str | None, typer.Option("--leader", metavar="URL", help="Keep no ledger, and ask this node's.")
    ] = None,
) -> None:
    """Set how a home's node listens and whom it knows; what is not named stays as it is."""
    load_genesis(home)
    require(
        (certificate is None) == (key is None), Reason.INPUT_INVALID, "--certificate and --key go together"
    )
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
