"""Where a wallet is used: at a home on this disk, or at a node behind a URL; the use cases are the same."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from iamata.client.connection import Connection
from iamata.client.desk import RemoteDesk
from iamata.client.engine import RemoteEngine, fetch_genesis, fetch_lineage
from iamata.client.staff import StaffClient
from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.genesis import Genesis
from iamata.ledger.succession import Lineage
from iamata.model.ids import MemberId, NetworkId, PatientId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import KeptLedger
from iamata.stores.checkpoints import CheckpointFile
from iamata.stores.outboxes import load_outbox
from iamata.stores.wallets import load_wallet
from iamata.wire.bodies import NodeInfo
from iamata.wire.desk import Desk
from iamata.workflows.author import Author
from iamata.workflows.outbox import list_drawn
from iamata.workflows.wallets import Identity, get_key


class Place(Protocol):
    """A ledger to write to, and the desks of those who can be asked there."""

    @property
    def engine(self) -> KeptLedger:
        """The ledger, as this place shows it."""
        ...

    @property
    def clock(self) -> Callable[[], int]:
        """What time it is here, in milliseconds."""
        ...

    @property
    def entropy(self) -> Callable[[int], bytes]:
        """Chance, as many bytes as one asks for."""
        ...

    def author(self, key: SigningKey) -> Author:
        """Write with a person's or a patient's key."""
        ...

    def has_desk(self, member: MemberId) -> bool:
        """Tell whether a member can be asked here."""
        ...

    def get_desk(self, member: str) -> Desk:
        """Return a member's desk, or refuse."""
        ...

    def find_in_emergency(self, custodian: MemberId, search: str) -> PatientId:
        """Find one patient at a custodian for a privileged person of one's own."""
        ...


class RemotePlace:
    """One member's node behind a URL, which is believed nothing that it does not prove."""

    def __init__(self, connection: Connection, member: MemberId, engine: RemoteEngine) -> None:
        self.member = member
        self.engine = engine
        self.clock: Callable[[], int] = read_clock_ms
        self.entropy: Callable[[int], bytes] = os.urandom
        self.staff = StaffClient(connection)
        self._desk = RemoteDesk(connection, member)
        self._connection = connection

    def author(self, key: SigningKey) -> Author:
        """Write with a person's or a patient's key."""
        return Author(self.engine, key, self.clock, self.entropy)

    def has_desk(self, member: MemberId) -> bool:
        """Tell whether this is the member's node."""
        return member == self.member

    def get_desk(self, member: str) -> Desk:
        """Return the desk of the member whose node this is, or refuse."""
        require(member == self.member, Reason.UNKNOWN_MEMBER, f"this is the node of {self.member}")
        return self._desk

    def fetch_lineage(self) -> tuple[Lineage, Genesis]:
        """Fetch the networks that the node says its own goes on from, and its genesis."""
        return fetch_lineage(self._connection)

    def find_in_emergency(self, custodian: MemberId, search: str) -> PatientId:
        """Find one patient at a custodian, which this node asks."""
        return self.staff.search(custodian, search)


@contextlib.contextmanager
def open_node(
    url: str, folder: Path, *, network: NetworkId | None = None, authorities: Path | None = None
) -> Iterator[RemotePlace]:
    """Speak to a node with the key that a wallet has for its member.

    The network is the wallet's own, or the one that an enrolment code names: no node says which to trust.
    """
    held = (*load_wallet(folder).identities, *list_drawn(load_outbox(folder)))
    asking = Connection(url, authorities=authorities)
    with contextlib.closing(asking):
        info = asking.get("/v1/node", NodeInfo)
        trusted = _choose_network(held, info, network)
        genesis = fetch_genesis(asking, network=trusted)
    connection = Connection(url, key=_find_key(held, info.member, trusted), authorities=authorities)
    file, name = CheckpointFile(folder), f"{trusted}/{info.member}"
    engine = RemoteEngine(
        connection, genesis, pinned=file.find(name), keep=lambda one: file.keep(name, one)
    )
    with contextlib.closing(engine):
        yield RemotePlace(connection, info.member, engine)


def _choose_network(held: Sequence[Identity], info: NodeInfo, network: NetworkId | None) -> NetworkId:
    known = [one.network for one in held] if network is None else [network]
    require(
        bool(known), Reason.WALLET_NOT_FOUND, "an empty wallet trusts no network; enrol with a code first"
    )
    if info.network not in known:
        detail = "the node is of another network than the wallet; if that one goes on here: wallet follow"
        raise Refused(Reason.FOREIGN_NETWORK, detail)
    return info.network


def _find_key(held: Sequence[Identity], member: MemberId, network: NetworkId) -> SigningKey | None:
    for identity in held:
        if (identity.network, identity.member) == (network, member):
            return get_key(identity)
    return None
