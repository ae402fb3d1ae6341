"""With whom a home's CometBFT speaks: peers by key, let in and shut out by the home's operator alone.

The node answers CometBFT from the settings as they are now, so who is let in needs no restart. Who is shut
out is cut off when the connection ends, at the latest with the next start.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from iamata.engines.comet.files import StateSyncSettings, spell_peer, spell_state_sync
from iamata.model.reasons import Reason, Refused, require
from iamata.node.comet_home import (
    COMET_FOLDER,
    CONFIG_FOLDER,
    NODE_KEY_FILE,
    PEER_PATTERN,
    SETTINGS_FILE,
    find_id,
    list_peers,
    replace_settings,
)
from iamata.node.configuration import Comet, read_configuration
from iamata.node.consensus_keys import read_key_file

PEERS_MAX: Final = 300


def find_own_peer(home: Path) -> str:
    """Spell how others reach this home's CometBFT: id@host:port."""
    engine = read_configuration(home).engine
    if not isinstance(engine, Comet):
        raise Refused(Reason.INPUT_INVALID, f"{home} is no validator's home")
    key = read_key_file(home / COMET_FOLDER / CONFIG_FOLDER / NODE_KEY_FILE)
    return spell_peer(key, engine.p2p)


def change_peers(home: Path, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> list[str]:
    """Let peers in, as id@host:port, and shut others out, by their id; return who is let in now."""
    own, folder = find_own_peer(home), home / COMET_FOLDER
    peers = {find_id(peer): peer for peer in list_peers(folder)}
    for peer in add:
        is_peer = re.match(PEER_PATTERN, peer) is not None
        require(is_peer, Reason.INPUT_INVALID, f"{peer!a} is no peer: id@host:port")
        require(find_id(peer) != find_id(own), Reason.INPUT_INVALID, "this is the home's own CometBFT")
        peers[find_id(peer)] = peer
    for peer in remove:
        require(find_id(peer) in peers, Reason.NOT_FOUND, f"{peer!a} is not let in")
        del peers[find_id(peer)]
    require(len(peers) <= PEERS_MAX, Reason.TOO_LARGE, f"{PEERS_MAX} peers at most")
    if add or remove:
        replace_settings(folder, _name_peers(folder, peers))
    return list_peers(folder)


def change_state_sync(folder: Path, sync: StateSyncSettings) -> None:
    """Let CometBFT begin at another header; everything else stays as its operator left it."""
    text = (folder / CONFIG_FOLDER / SETTINGS_FILE).read_text(encoding="utf-8")
    before, _, _ = text.partition("\n[statesync]\n")
    replace_settings(folder, (before + spell_state_sync(sync)).encode("utf-8"))


def _name_peers(folder: Path, peers: dict[str, str]) -> bytes:
    """Write the settings with other peers; everything else stays as its operator left it."""
    text = (folder / CONFIG_FOLDER / SETTINGS_FILE).read_text(encoding="utf-8")
    ids = ",".join(sorted(peers))
    reached = ",".join(peer for _, peer in sorted(peers.items()) if "@" in peer)
    values = {"persistent_peers": reached, "private_peer_ids": ids, "unconditional_peer_ids": ids}
    for name, value in values.items():
        text, count = re.subn(f'^{name} = ".*"$', f'{name} = "{value}"', text, flags=re.MULTILINE)
        one_line = f"{SETTINGS_FILE} needs one line with {name}"
        require(count == 1, Reason.HOME_CORRUPT, one_line)
    return text.encode("utf-8")
