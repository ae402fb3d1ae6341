"""How an invited organisation's node comes to a network that runs: a home, an application, a beginning.

The home is whole before the ledger hears of its keys. Until the ledger has begun in it, joining can be
repeated: what was made stays, and a newer introduction takes the place of the old one.
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from iamata.api.gate import is_loopback
from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine, fetch_lineage
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.engines.comet.files import TIMEOUT_COMMIT_MS, CometSettings
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.commits import CommitFile
from iamata.engines.keeping.storage import LEDGER_FILE, LedgerFile
from iamata.ledger.entries import MemberStatus
from iamata.ledger.genesis import compute_network_id
from iamata.ledger.succession import Lineage
from iamata.ledger.tables import MEMBERS
from iamata.model.canonical import encode_struct
from iamata.model.ids import KeyId, MemberId, NetworkId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.comet_home import COMET_FOLDER, LOOPBACK, CometSeeds, draw_ports, write_comet_folder
from iamata.node.configuration import Comet, Configuration, read_configuration, write_configuration
from iamata.node.consensus_keys import find_key
from iamata.node.home import (
    GENESIS_FILE,
    GENESIS_MODE,
    LEDGER_FOLDER,
    MEMBERS_FOLDER,
    find_asking_key,
    list_member_folders,
    load_genesis,
    require_room,
)
from iamata.node.introduction import (
    INTRODUCTION_FILE,
    Introduction,
    check_introduction,
    read_introduction,
)
from iamata.node.keyfiles import FOLDER_MODE, KEY_MODE, write_new
from iamata.node.letting_in import change_peers, change_state_sync, find_own_peer
from iamata.node.lineage import write_lineage
from iamata.node.membership import InvitationFile, draw_keys, read_invitation, submit_application
from iamata.node.peers import find_authorities
from iamata.node.served import write_served
from iamata.wire.bodies import Position, SinceQuery
from iamata.workflows.author import NO_FINALITY


@dataclasses.dataclass(frozen=True, slots=True)
class Listening:
    """Where a newcomer's node and its CometBFT are to listen."""

    host: str
    port: int
    p2p_port: int | None = None
    """None draws one that is free."""
    rpc_port: int | None = None
    timeout_commit_ms: int = TIMEOUT_COMMIT_MS
    authorities: Path | None = None
    """Certificates that the members' nodes are checked against; None means the system's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Joined:
    """What a newcomer tells the members."""

    member: MemberId
    network: NetworkId
    peer: str
    """How the others' CometBFT know this one: for them to let in."""
    key: KeyId
    """With which its CometBFT would vote: for them to appoint."""
    introduction: Introduction


def join(path: Path, invitation: Path, introduction: Path, place: Listening) -> Joined:
    """Make a home and apply as a member from it; where that is refused for good, nothing of it stays."""
    offer, introduced = read_invitation(invitation), read_introduction(introduction)
    check_introduction(introduced, network=offer.network, now_ms=read_clock_ms())
    is_new = not (path / GENESIS_FILE).exists()
    if is_new:
        require_room(path)
    else:
        _check_same(path, offer)
    with _asking(introduced, authorities=place.authorities) as connection:
        lineage = _fetch_lineage(connection, offer.network)  # or nothing is written
        if is_new:
            with _removing_what_fails(path):
                _write_home(path, offer, introduced, place, lineage)
                _apply(path, offer, introduced, connection)
        else:
            _renew(path, introduced)
            if not _is_known(path, introduced, place):
                _apply(path, offer, introduced, connection)
    return Joined(
        member=offer.member,
        network=offer.network,
        peer=find_own_peer(path),
        key=find_key(path),
        introduction=introduced,
    )


def check_admitted(path: Path) -> None:
    """Refuse to begin at a home whose member the others have not admitted; pass one that has begun."""
    file = path / COMET_FOLDER / INTRODUCTION_FILE
    if not file.exists() or has_begun(path):
        return
    introduction, member = read_introduction(file), list_member_folders(path)[0].name
    configuration = read_configuration(path)
    check_introduction(introduction, network=compute_network_id(load_genesis(path)), now_ms=read_clock_ms())
    authorities = find_authorities(configuration, path)
    with _asking(introduction, authorities=authorities, key=find_asking_key(path)) as connection:
        engine = RemoteEngine(connection, introduction.genesis)
        with contextlib.closing(engine):  # a member that is not active hears so from the node already
            entry = MEMBERS.find(engine.snapshot(), member)
    is_admitted = entry is not None and entry.status is MemberStatus.ACTIVE
    require(is_admitted, Reason.MEMBER_NOT_ACTIVE, member)


def has_begun(path: Path) -> bool:
    """Tell whether there is a block in a home's ledger."""
    if not (path / LEDGER_FOLDER / LEDGER_FILE).exists():
        return False
    with contextlib.closing(LedgerFile(path / LEDGER_FOLDER, is_writer=False)) as file:
        return file.find_last_block() is not None


def _check_same(path: Path, offer: InvitationFile) -> None:
    """Refuse a home that is another's, or that has begun: whoever joins again there would lose it."""
    is_same = compute_network_id(load_genesis(path)) == offer.network
    is_same = is_same and [one.name for one in list_member_folders(path)] == [offer.member]
    is_joining = is_same and (path / COMET_FOLDER / INTRODUCTION_FILE).exists() and not has_begun(path)
    require(is_joining, Reason.HOME_ALREADY_EXISTS, str(path))


def _fetch_lineage(connection: Connection, network: NetworkId) -> Lineage:
    """Fetch which networks the one that is joined goes on from, as its genesis names them."""
    lineage, genesis = fetch_lineage(connection)
    require(compute_network_id(genesis) == network, Reason.FOREIGN_NETWORK, connection.url)
    return lineage


def _write_home(
    path: Path, offer: InvitationFile, introduction: Introduction, place: Listening, lineage: Lineage
) -> None:
    """Write everything but a ledger; that comes with the snapshot."""
    for folder in (path, path / LEDGER_FOLDER):
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    draw_keys(path / MEMBERS_FOLDER / offer.member, offer.member)
    rpc_host = place.host if is_loopback(place.host) else LOOPBACK
    engine = Comet(
        rpc=f"{rpc_host}:{place.rpc_port or draw_ports(1, host=rpc_host)[0]}",
        p2p=f"{place.host}:{place.p2p_port or draw_ports(1, host=place.host)[0]}",
    )
    settings = CometSettings(
        moniker=offer.member,
        proxy_app=f"unix://{engine.application}",
        p2p_address=engine.p2p,
        rpc_address=engine.rpc,
        peers=introduction.peers,
        timeout_commit_ms=place.timeout_commit_ms,
        state_sync=introduction.describe_sync(),
    )
    seeds = CometSeeds(validator=os.urandom(SEED_BYTES), node=os.urandom(SEED_BYTES))
    write_comet_folder(path / COMET_FOLDER, introduction.genesis, settings, seeds)
    _keep(path, introduction)
    authorities = None if place.authorities is None else str(place.authorities)
    write_configuration(
        path,
        Configuration(
            engine=engine,
            host=place.host,
            port=place.port,
            peers=introduction.nodes,
            authorities=authorities,
        ),
    )
    write_served(path, [offer.member])
    write_lineage(path, lineage)
    # Last, so that a home is whole or none.
    write_new(path / GENESIS_FILE, encode_struct(introduction.genesis), mode=GENESIS_MODE)


def _renew(path: Path, introduction: Introduction) -> None:
    """Let a home that has not begun trust a newer header."""
    change_state_sync(path / COMET_FOLDER, introduction.describe_sync())
    change_peers(path, add=introduction.peers)
    _keep(path, introduction)


def _keep(path: Path, introduction: Introduction) -> None:
    """Keep the introduction, and its header as the one from which commits are followed."""
    file = path / COMET_FOLDER / INTRODUCTION_FILE
    file.unlink(missing_ok=True)
    write_new(file, encode_struct(introduction), mode=KEY_MODE)
    with contextlib.closing(CommitFile(path / LEDGER_FOLDER, is_writer=True)) as commits:
        for light in (*introduction.steps, introduction.trusted):
            commits.add(light)


def _apply(path: Path, offer: InvitationFile, introduction: Introduction, connection: Connection) -> None:
    """Show the ledger this home's keys. Nobody knows who asks, so the request itself is not signed."""
    with contextlib.closing(RemoteEngine(connection, introduction.genesis)) as engine:
        submit_application(engine, offer, path / MEMBERS_FOLDER / offer.member, clock=read_clock_ms)


def _is_known(path: Path, introduction: Introduction, place: Listening) -> bool:
    """Tell whether the ledger knows this home's keys already: an attempt before may have come so far."""
    with _asking(introduction, authorities=place.authorities, key=find_asking_key(path)) as connection:
        try:
            connection.get("/v1/ledger/position", Position, SinceQuery(since=0))
        except Refused as refused:
            if refused.reason is Reason.UNKNOWN_SIGNER:
                return False
            if refused.reason is not Reason.MEMBER_NOT_ACTIVE:
                raise
    return True


@contextlib.contextmanager
def _asking(
    introduction: Introduction, *, authorities: Path | None, key: SigningKey | None = None
) -> Iterator[Connection]:
    """Speak to the introducer's node."""
    url = introduction.nodes[introduction.introducer]
    with contextlib.closing(Connection(url, key=key, authorities=authorities)) as connection:
        yield connection


@contextlib.contextmanager
def _removing_what_fails(path: Path) -> Iterator[None]:
    """Leave nothing where joining is refused for good; the folder was empty, so all in it is ours.

    Where the ledger may have taken the application, the home stays: it holds the keys that it named.
    """
    was_there = path.exists()
    try:
        yield
    except BaseException as failure:
        is_undecided = isinstance(failure, Refused) and failure.reason in NO_FINALITY
        if not is_undecided or not (path / GENESIS_FILE).exists():
            _empty(path)
            if path.is_dir() and not was_there:
                path.rmdir()
        if isinstance(failure, OSError):
            raise Refused(Reason.STORAGE_FULL, f"{path}: {failure.strerror}") from failure
        raise


def _empty(path: Path) -> None:
    for one in path.iterdir() if path.is_dir() else ():
        shutil.rmtree(one) if one.is_dir() else one.unlink()
