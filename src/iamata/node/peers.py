"""Other members' nodes, as a home is configured to reach them, asked with the home's own signing key."""

import threading
from pathlib import Path

from iamata.client.connection import Connection
from iamata.client.desk import RemoteDesk
from iamata.client.leader import RemoteLeader
from iamata.crypto.ed25519 import SigningKey
from iamata.engines.follower.engine import FollowerEngine
from iamata.ledger.genesis import Genesis
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.configuration import Configuration, Follower
from iamata.wire.desk import Desk


class Peers:
    """Desks behind the URLs of a configuration, connected to when first asked for."""

    def __init__(self, configuration: Configuration, path: Path, key: SigningKey | None) -> None:
        self._urls = configuration.peers
        self._authorities = find_authorities(configuration, path)
        self._key = key
        self._connections: dict[MemberId, Connection] = {}
        self._guard = threading.Lock()

    def get_desk(self, member: MemberId) -> Desk:
        """Return a peer's desk, or refuse where nobody knows its node."""
        url = self._urls.get(member)
        if url is None or self._key is None:
            raise Refused(Reason.UNKNOWN_MEMBER, f"{member} is not served from this home, nor is it a peer")
        with self._guard:
            if member not in self._connections:
                self._connections[member] = Connection(url, key=self._key, authorities=self._authorities)
            return RemoteDesk(self._connections[member], member)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()


def open_follower(
    folder: Path, genesis: Genesis, configuration: Configuration, *, key: SigningKey | None
) -> FollowerEngine:
    """Open the engine of a home that follows another node's ledger."""
    if key is None or not isinstance(configuration.engine, Follower):
        raise Refused(Reason.INPUT_INVALID, "only a home of one member follows another node's ledger")
    authorities = find_authorities(configuration, folder.parent)
    connection = Connection(configuration.engine.leader, key=key, authorities=authorities)
    return FollowerEngine(folder, genesis, leader=RemoteLeader(connection, genesis))


def find_authorities(configuration: Configuration, path: Path) -> Path | None:
    """Say where the certificates lie that peers are checked against; None means the system's."""
    return None if configuration.authorities is None else path / configuration.authorities
