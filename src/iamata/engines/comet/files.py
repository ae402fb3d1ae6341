"""The files that CometBFT reads: its genesis, settings and keys, written from ours and from nothing else.

A network of known members: peers by name, no gossip of addresses, RPC for this machine alone, no blocks
while nothing happens. What is not named here is as CometBFT 0.38 has it by default.
"""

import base64
import dataclasses
from string import Template
from typing import Any, Final

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.ledger.genesis import Genesis, compute_network_id, get_first_height
from iamata.ledger.light.blocks import order_validators
from iamata.ledger.misbehaviour import compute_address
from iamata.model.ids import KeyId, decode_digest
from iamata.model.instants import MS_PER_DAY, Instant, format_instant

BLOCK_BYTES_MAX: Final = 2 * 1024 * 1024
"""CometBFT's default of 21 MB lets one proposer keep everybody busy (its advisory ASA-2023-002)."""
MESSAGE_BYTES_MAX: Final = 128 * 1024
"""A bundle, and room to grow."""
EVIDENCE_BYTES_MAX: Final = 64 * 1024
EVIDENCE_DAYS: Final = 21
"""How long evidence counts: longer than a light client trusts what it has seen."""
EVIDENCE_BLOCKS: Final = 1_000_000
"""Evidence counts until it is older than both."""
TIMEOUT_COMMIT_MS: Final = 100
MS_AFTER_GENESIS: Final = 1
"""CometBFT's first block has its genesis' time, and a block of ours is later than what it follows."""

_NANOS_PER_MS: Final = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class CometSettings:
    """What one node's CometBFT has to be told."""

    moniker: str
    proxy_app: str
    p2p_address: str
    """host:port, as the others reach it."""
    rpc_address: str
    """host:port on this machine."""
    peers: tuple[str, ...]
    """id@host:port of every other node."""
    timeout_commit_ms: int = TIMEOUT_COMMIT_MS
    state_sync: "StateSyncSettings | None" = None


@dataclasses.dataclass(frozen=True, slots=True)
class StateSyncSettings:
    """Where a node that joins late begins: a header that somebody it trusts has named."""

    rpc_servers: tuple[str, ...]
    trust_height: int
    trust_hash: str
    """In hexadecimal."""
    trust_days: int


def spell_genesis(genesis: Genesis) -> bytes:
    """Write CometBFT's genesis: it follows from the network's own, so that every node has the same."""
    validators = [
        {
            "address": spell_address(one.key),
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": _encode(decode_digest(one.key))},
            "power": str(one.power),
            "name": "",
        }
        for one in order_validators(genesis.validators)
    ]
    document = {
        "genesis_time": format_instant(Instant(genesis.created_ms + MS_AFTER_GENESIS)),
        "chain_id": compute_network_id(genesis),
        "initial_height": str(get_first_height(genesis)),
        "consensus_params": _describe_parameters(),
        "validators": validators,
        "app_hash": "",
    }
    return _spell(document)


def spell_validator_key(key: SigningKey, seed: bytes) -> bytes:
    """Write the file in which CometBFT keeps a validator's consensus key."""
    public = decode_digest(key.key_id)
    document = {
        "address": spell_address(key.key_id),
        "pub_key": {"type": "tendermint/PubKeyEd25519", "value": _encode(public)},
        "priv_key": {"type": "tendermint/PrivKeyEd25519", "value": _encode(seed + public)},
    }
    return _spell(document)


def spell_validator_state() -> bytes:
    """Write where a validator's key that never signed anything begins."""
    return _spell({"height": "0", "round": 0, "step": 0})


def spell_node_key(key: SigningKey, seed: bytes) -> bytes:
    """Write the file with the key by which a node's peers know it."""
    secret = _encode(seed + decode_digest(key.key_id))
    return _spell({"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": secret}})


def spell_address(key: KeyId) -> str:
    """Spell the address of a consensus key as CometBFT does."""
    return compute_address(key).hex().upper()


def spell_peer(key: KeyId, address: str) -> str:
    """Spell where a node is reached, and by which key it is known: id@host:port."""
    return f"{compute_address(key).hex()}@{address}"


def spell_settings(settings: CometSettings) -> bytes:
    """Write CometBFT's config.toml: what differs from its defaults, and why."""
    text = _SETTINGS.substitute(
        moniker=settings.moniker,
        proxy_app=settings.proxy_app,
        p2p_address=settings.p2p_address,
        rpc_address=settings.rpc_address,
        timeout_commit_ms=settings.timeout_commit_ms,
        peers=",".join(settings.peers),
        ids=",".join(peer.partition("@")[0] for peer in settings.peers),
        message_bytes_max=MESSAGE_BYTES_MAX,
        body_bytes_max=4 * MESSAGE_BYTES_MAX,
        mempool_bytes_max=64 * BLOCK_BYTES_MAX,
    )
    return (text + spell_state_sync(settings.state_sync)).encode("utf-8")


def spell_state_sync(sync: StateSyncSettings | None) -> str:
    """Write the last section of CometBFT's settings: where a node begins."""
    if sync is None:
        return "\n[statesync]\nenable = false\n"
    return f"""
[statesync]
enable = true
rpc_servers = "{",".join(sync.rpc_servers)}"
trust_height = {sync.trust_height}
trust_hash = "{sync.trust_hash}"
trust_period = "{24 * sync.trust_days}h0m0s"
discovery_time = "5s"
"""


def _describe_parameters() -> dict[str, Any]:
    age_ns = EVIDENCE_DAYS * MS_PER_DAY * _NANOS_PER_MS
    return {
        "block": {"max_bytes": str(BLOCK_BYTES_MAX), "max_gas": "-1"},
        "evidence": {
            "max_age_num_blocks": str(EVIDENCE_BLOCKS),
            "max_age_duration": str(age_ns),
            "max_bytes": str(EVIDENCE_BYTES_MAX),
        },
        "validator": {"pub_key_types": ["ed25519"]},
        "version": {"app": "0"},
        "abci": {"vote_extensions_enable_height": "0"},
    }


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


_SETTINGS: Final = Template("""\
# Written by Iamata. What is not here is as CometBFT 0.38 has it by default.
proxy_app = "$proxy_app"
moniker = "$moniker"
abci = "socket"
log_level = "info"
# CometBFT asks the node about each peer, which knows those named below and turns the others away.
filter_peers = true

[rpc]
# For the node on this machine only: what others ask goes through the node.
laddr = "tcp://$rpc_address"
max_body_bytes = $body_bytes_max

[p2p]
laddr = "tcp://$p2p_address"
# The members know each other by key; nobody else is let in or told of.
persistent_peers = "$peers"
private_peer_ids = "$ids"
unconditional_peer_ids = "$ids"
pex = false
addr_book_strict = false
allow_duplicate_ip = true
flush_throttle_timeout = "10ms"
# The defaults, 5 MB/s in packets of 1 KB, are for the open Internet: a full block would take half a second.
send_rate = 102400000
recv_rate = 102400000
max_packet_msg_payload_size = 16384
max_num_inbound_peers = 100

[mempool]
size = 5000
max_tx_bytes = $message_bytes_max
max_txs_bytes = $mempool_bytes_max
cache_size = 10000

[consensus]
timeout_propose = "1s"
timeout_commit = "${timeout_commit_ms}ms"
# No blocks while nothing happens; one empty block follows each that changed something, to vouch for it.
create_empty_blocks = false
create_empty_blocks_interval = "0s"
peer_gossip_sleep_duration = "10ms"
peer_query_maj23_sleep_duration = "2s"

[tx_index]
# The node keeps its own log, with proofs.
indexer = "null"

[instrumentation]
prometheus = false
""")


def _spell(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
