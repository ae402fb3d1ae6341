"""Other members' nodes, as a home is configured to reach them, asked with the home's own signing key."""

import threading
from pathlib import Path
from typing import Final

from iamata.client.connection import Connection
from iamata.client.desk import RemoteDesk
from iamata.client.engine import RemoteEngine
from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.lock import LedgerLock
from iamata.ledger.genesis import Genesis
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.configuration import Configuration, Remote
from iamata.stores.checkpoints import CheckpointFile
from iamata.wire.desk import Desk

LEADER: Final = "leader"
"""Under which name the leader's last checkpoint is kept."""


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


class LockedRemoteEngine(RemoteEngine):
    """A remote engine of a home that one process has open at a time, as where the ledger lies."""

    def __init__(
        self, lock: LedgerLock, connection: Connection, genesis: Genesis, file: CheckpointFile
    ) -> None:
        super().__init__(
            connection, genesis, pinned=file.find(LEADER), keep=lambda one: file.keep(LEADER, one)
        )
        self._lock = lock

    def close(self) -> None:
        """Send what was submitted, then let the next process in."""
        super().close()
        self._lock.release()


def open_remote(
    folder: Path, genesis: Genesis, configuration: Configuration, *, key: SigningKey | None
) -> RemoteEngine:
    """Open the engine of a home that keeps no ledger."""
    if key is None or not isinstance(configuration.engine, Remote):
        raise Refused(Reason.INPUT_INVALID, "only a home of one member asks another node for its ledger")
    lock = LedgerLock(folder)
    try:
        authorities = find_authorities(configuration, folder.parent)
        connection = Connection(configuration.engine.leader, key=key, authorities=authorities)
        return LockedRemoteEngine(lock, connection, genesis, CheckpointFile(folder))
    except BaseException:
        lock.release()
        raise


def find_authorities(configuration: Configuration, path: Path) -> Path | None:
    """Say where the certificates lie that peers are checked against; None means the system's."""
    return None if configuration.authorities is None else path / configuration.authorities
