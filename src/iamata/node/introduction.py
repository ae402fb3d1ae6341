"""What a member hands to an organisation that is to join: the network, whom to ask, and where to begin.

It holds no secret, and is believed nothing that its votes do not show: the genesis is that of the network
which the invitation names, and the trusted header follows from that genesis by validators' votes.
"""

import contextlib
from pathlib import Path
from typing import Annotated, Final

import msgspec

from iamata.engines.comet.files import StateSyncSettings
from iamata.ledger.genesis import Genesis, check_genesis, compute_network_id
from iamata.ledger.light.blocks import LightBlock, check_form, compute_light_hash
from iamata.ledger.light.verifying import (
    TRUST_MS,
    check_clock,
    check_light_block,
    is_fresh,
    trust_genesis,
)
from iamata.ledger.receipts import STEPS_MAX
from iamata.model.ids import MemberId, NetworkId, decode_digest
from iamata.model.instants import MS_PER_DAY
from iamata.model.reasons import Reason, Refused, require
from iamata.node.comet_home import PEER_PATTERN
from iamata.node.configuration import PEERS_MAX, Address, Configuration, check_configuration

INTRODUCTION_FILE: Final = "introduction.json"
"""Kept beside CometBFT's own files, for as long as the home has not begun."""
INTRODUCTION_BYTES_MAX: Final = 8 * 1024 * 1024
TRUST_DAYS: Final = TRUST_MS // MS_PER_DAY

Peer = Annotated[str, msgspec.Meta(pattern=PEER_PATTERN)]


class Introduction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a node needs to begin late."""

    genesis: Genesis
    introducer: MemberId
    nodes: Annotated[dict[MemberId, str], msgspec.Meta(max_length=PEERS_MAX)]
    """Members' nodes by URL, the introducer's among them."""
    peers: Annotated[tuple[Peer, ...], msgspec.Meta(min_length=1, max_length=PEERS_MAX)]
    """Whose CometBFT to speak to, as id@host:port."""
    rpc: Address
    """Where CometBFT's headers can be asked for while the node begins."""
    trusted: LightBlock
    steps: Annotated[tuple[LightBlock, ...], msgspec.Meta(max_length=STEPS_MAX)]
    """They lead from the genesis to what is trusted, where too few of the first validators signed it."""

    @property
    def network(self) -> NetworkId:
        """Name the network."""
        return compute_network_id(self.genesis)

    @property
    def hash(self) -> str:
        """Spell the trusted header's hash as CometBFT does, in hexadecimal."""
        return decode_digest(compute_light_hash(self.trusted.header)).hex().upper()

    def describe_sync(self) -> StateSyncSettings:
        """Tell CometBFT where to begin; it wants two to ask, which may be one and the same."""
        return StateSyncSettings(
            rpc_servers=(self.rpc, self.rpc),
            trust_height=self.trusted.header.height,
            trust_hash=self.hash,
            trust_days=TRUST_DAYS,
        )


def read_introduction(path: Path) -> Introduction:
    """Read an introduction; whether to believe it is another question."""
    try:
        with path.open("rb") as file:
            raw = file.read(INTRODUCTION_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    with contextlib.suppress(ValueError, RecursionError):
        if len(raw) <= INTRODUCTION_BYTES_MAX:
            return msgspec.json.decode(raw, type=Introduction)
    raise Refused(Reason.INPUT_INVALID, f"{path} is no introduction")


def check_introduction(introduction: Introduction, *, network: NetworkId, now_ms: int) -> None:
    """Refuse another network's, one whose votes do not lead to what it trusts, and one that is too old."""
    genesis = introduction.genesis
    check_genesis(genesis)
    require(introduction.network == network, Reason.FOREIGN_NETWORK, "the introduction")
    require(bool(genesis.validators), Reason.INPUT_INVALID, "one signer orders this ledger")
    has_url = introduction.introducer in introduction.nodes
    require(has_url, Reason.INPUT_INVALID, "the introduction does not say where its member's node is")
    check_configuration(Configuration(peers=introduction.nodes))
    trust = trust_genesis(genesis)
    for light in (*introduction.steps, introduction.trusted):
        check_form(light)
        check_clock(light, now_ms=now_ms)
        trust = check_light_block(light, trust)
    is_recent = is_fresh(trust.time.ms, now_ms=now_ms)
    require(is_recent, Reason.EXPIRED, f"the introduction is older than {TRUST_DAYS} days: ask for another")
