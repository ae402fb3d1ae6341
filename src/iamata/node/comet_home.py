"""The folder of a home in which CometBFT lives: its genesis, settings, keys, and where it last signed."""

import dataclasses
import socket
import tomllib
from pathlib import Path
from typing import Any, Final

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.comet.files import (
    CometSettings,
    spell_genesis,
    spell_node_key,
    spell_settings,
    spell_validator_key,
    spell_validator_state,
)
from iamata.ledger.genesis import Genesis
from iamata.model.reasons import Reason, Refused
from iamata.node.keyfiles import FOLDER_MODE, KEY_MODE, write_new

COMET_FOLDER: Final = "comet"
CONFIG_FOLDER: Final = "config"
DATA_FOLDER: Final = "data"
SETTINGS_FILE: Final = "config.toml"
GENESIS_FILE: Final = "genesis.json"
NODE_KEY_FILE: Final = "node_key.json"
VALIDATOR_KEY_FILE: Final = "priv_validator_key.json"
VALIDATOR_STATE_FILE: Final = "priv_validator_state.json"
LOOPBACK: Final = "127.0.0.1"
PEER_PATTERN: Final = r"^[0-9a-f]{40}@[A-Za-z0-9.\-\[\]:]{1,255}:[0-9]{1,5}\Z"
"""id@host:port: nothing that could end the line of a settings file."""


@dataclasses.dataclass(frozen=True, slots=True)
class CometSeeds:
    """The secrets of one node's CometBFT."""

    validator: bytes = dataclasses.field(repr=False)
    """Signs votes. Two processes with one of these accuse each other's owner."""
    node: bytes = dataclasses.field(repr=False)
    """By which the node's peers know it."""


def write_comet_folder(folder: Path, genesis: Genesis, settings: CometSettings, seeds: CometSeeds) -> None:
    """Write all that CometBFT needs to begin, readable by its owner alone."""
    config, data = folder / CONFIG_FOLDER, folder / DATA_FOLDER
    for one in (folder, config, data):
        one.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    files = {
        config / SETTINGS_FILE: spell_settings(settings),
        config / GENESIS_FILE: spell_genesis(genesis),
        config / NODE_KEY_FILE: spell_node_key(SigningKey.from_seed(seeds.node), seeds.node),
        config / VALIDATOR_KEY_FILE: spell_validator_key(
            SigningKey.from_seed(seeds.validator), seeds.validator
        ),
        data / VALIDATOR_STATE_FILE: spell_validator_state(),
    }
    for path, content in files.items():
        write_new(path, content, mode=KEY_MODE)


def write_settings(folder: Path, settings: CometSettings) -> None:
    """Replace CometBFT's settings; a crash leaves the old ones or the new ones."""
    replace_settings(folder, spell_settings(settings))


def replace_settings(folder: Path, content: bytes) -> None:
    """Replace the file of CometBFT's settings; a crash leaves the old one or the new one."""
    path = folder / CONFIG_FOLDER / SETTINGS_FILE
    fresh = path.with_suffix(".next")
    fresh.unlink(missing_ok=True)
    write_new(fresh, content, mode=KEY_MODE)
    fresh.replace(path)


def list_peers(folder: Path) -> list[str]:
    """List the peers that CometBFT's settings name: as id@host:port, or by id alone."""
    path = folder / CONFIG_FOLDER / SETTINGS_FILE
    try:
        with path.open("rb") as file:
            p2p: dict[str, Any] = tomllib.load(file).get("p2p", {})
        named = f"{p2p.get('persistent_peers', '')},{p2p.get('unconditional_peer_ids', '')}"
    except (OSError, ValueError, AttributeError) as error:
        detail = f"{folder.name}/{CONFIG_FOLDER}/{SETTINGS_FILE} cannot be read"
        raise Refused(Reason.HOME_CORRUPT, detail) from error
    peers = {find_id(peer): peer.strip() for peer in named.split(",")[::-1]}  # an address goes first
    return [peer for name, peer in sorted(peers.items()) if name]


def read_peers(folder: Path) -> frozenset[str]:
    """Return the ids of the peers that CometBFT's settings name: those with whom it may speak."""
    return frozenset(map(find_id, list_peers(folder)))


def find_id(peer: str) -> str:
    """Return the id in id@host:port, or the id that stands alone."""
    return peer.partition("@")[0].strip().lower()


class NamedPeers:
    """The peers that CometBFT's settings name now: who is let in or shut out counts at once."""

    def __init__(self, folder: Path) -> None:
        """Refuse settings that cannot be read."""
        self._folder = folder
        read_peers(folder)

    def __contains__(self, peer: object) -> bool:
        """Tell whether a peer is named, by its id."""
        return peer in read_peers(self._folder)


def draw_ports(count: int, *, host: str = LOOPBACK) -> list[int]:
    """Find ports that are free at this moment."""
    held = [socket.create_server((host, 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
