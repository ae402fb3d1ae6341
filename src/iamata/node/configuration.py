"""How a node runs: `node.json` in its home. What is not in the file has a default for this machine."""

import contextlib
from pathlib import Path
from typing import Annotated, Final

import msgspec

from iamata.client.connection import read_url
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.keyfiles import KEY_MODE, write_new

NODE_FILE: Final = "node.json"
NODE_BYTES_MAX: Final = 65_536
PORT: Final = 8100
PORT_MAX: Final = 65_535
NAME_LENGTH_MAX: Final = 261
"""A host's name with its port."""
PEERS_MAX: Final = 1_000
_NEXT: Final = "node.next.json"

Port = Annotated[int, msgspec.Meta(ge=0, le=PORT_MAX)]
Address = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.\-\[\]:]{1,255}:[0-9]{1,5}\Z")]
"""host:port."""


class Ordering(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """How a node comes by its blocks."""


BLOCKS_KEPT_MIN: Final = 10
"""The node fetches the votes for a block right after it; until then CometBFT must have them."""


class Embedded(Ordering, frozen=True, tag="embedded"):
    """The node orders the ledger itself: one signer."""


class Follower(Ordering, frozen=True, tag="follower"):
    """Another node orders; this one runs every block again, and keeps a full copy of the ledger."""

    leader: str
    """The URL of the node that orders, or of one that follows it."""


class Comet(Ordering, frozen=True, tag="comet"):
    """CometBFT orders: this node's is one of several that agree on each block."""

    rpc: Address
    """Where this node's CometBFT answers, on this machine."""
    p2p: Address
    """Where the others' CometBFT reach it."""
    application: str = "comet/application.sock"
    """The socket on which CometBFT asks this node, as seen from the home."""
    blocks_kept: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Of how many newest blocks CometBFT keeps its copy, 0 for all; the node's ledger holds every block."""


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files of a certificate and its key, as seen from the home."""

    certificate: str
    key: str


class Configuration(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """All that can be set."""

    engine: Embedded | Follower | Comet = msgspec.field(default_factory=Embedded)
    host: str = "127.0.0.1"
    port: Port = PORT
    """0 takes any port that is free, and says which."""
    tls: Tls | None = None
    """Needed to listen beyond this machine."""
    names: tuple[Annotated[str, msgspec.Meta(max_length=NAME_LENGTH_MAX)], ...] = ()
    """The authorities (host:port) by which others reach the node, where they are not those above."""
    authorities: str | None = None
    """A file of certificates that peers are checked against, as seen from the home; or the system's."""
    peers: Annotated[dict[MemberId, str], msgspec.Meta(max_length=PEERS_MAX)] = {}
    """Other members' nodes, by URL."""


def read_configuration(path: Path) -> Configuration:
    """Read a home's configuration, or refuse a damaged one; without a file everything has its default."""
    try:
        with (path / NODE_FILE).open("rb") as file:
            raw = file.read(NODE_BYTES_MAX + 1)
    except FileNotFoundError:
        return Configuration()
    require(len(raw) <= NODE_BYTES_MAX, Reason.INPUT_TOO_LARGE, NODE_FILE)
    try:
        configuration = msgspec.json.decode(raw, type=Configuration)
    except msgspec.ValidationError as error:  # it names the field and its type, never a value
        raise Refused(Reason.INPUT_INVALID, f"{NODE_FILE}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.INPUT_INVALID, f"{NODE_FILE} is no JSON") from error
    check_configuration(configuration)
    return configuration


def write_configuration(path: Path, configuration: Configuration) -> None:
    """Write a home's configuration; a crash leaves the old one or the new one."""
    check_configuration(configuration)
    with contextlib.suppress(FileNotFoundError):
        (path / _NEXT).unlink()
    text = msgspec.json.format(msgspec.json.encode(configuration), indent=2)
    write_new(path / _NEXT, text + b"\n", mode=KEY_MODE)
    (path / _NEXT).replace(path / NODE_FILE)


def check_configuration(configuration: Configuration) -> None:
    """Refuse URLs that are none, and to keep too little."""
    leader = [configuration.engine.leader] if isinstance(configuration.engine, Follower) else []
    for url in (*leader, *configuration.peers.values()):
        read_url(url)
    kept = configuration.engine.blocks_kept if isinstance(configuration.engine, Comet) else 0
    is_enough = kept == 0 or kept >= BLOCKS_KEPT_MIN
    require(
        is_enough, Reason.INPUT_INVALID, f"CometBFT keeps {BLOCKS_KEPT_MIN} blocks or more, or 0 for all"
    )
