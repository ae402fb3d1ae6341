"""How a network stands, asked of every node on this machine and of its CometBFT."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from iamata.engines.comet.rpc import CometRpc
from iamata.ledger.genesis import compute_network_id
from iamata.model.ids import MemberId, NetworkId
from iamata.model.reasons import Refused
from iamata.node.configuration import Comet, read_configuration
from iamata.node.home import list_member_folders, load_genesis
from iamata.node.running import find_node, spell_url

ASK_TIMEOUT_S = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class NodeStanding:
    """One node: None where nobody answers, or where there is no CometBFT."""

    member: MemberId
    url: str
    engine: str
    height: int | None
    lag: int | None
    """Blocks behind the furthest node."""
    peers: int | None
    power: int | None
    is_catching_up: bool | None


def survey(homes: Sequence[Path]) -> list[NodeStanding]:
    """Ask every node; whoever does not answer is listed all the same."""
    standings = [_ask(home) for home in homes]
    top = max((one.height for one in standings if one.height is not None), default=0)
    return [
        dataclasses.replace(one, lag=None if one.height is None else top - one.height) for one in standings
    ]


def _ask(home: Path) -> NodeStanding:
    configuration, info = read_configuration(home), find_node(home)
    engine = configuration.engine
    member = MemberId(next((one.name for one in list_member_folders(home)), home.name))
    standing = NodeStanding(
        member=member,
        url=spell_url(configuration),
        engine=str(engine.__struct_config__.tag),
        height=None if info is None else info.height,
        lag=None,
        peers=None,
        power=None,
        is_catching_up=None,
    )
    if not isinstance(engine, Comet):
        return standing
    return _ask_comet(standing, engine.rpc, network=compute_network_id(load_genesis(home)))


def _ask_comet(standing: NodeStanding, address: str, *, network: NetworkId) -> NodeStanding:
    rpc = CometRpc(address, timeout_s=ASK_TIMEOUT_S)
    try:
        status, peers = rpc.read_status(), rpc.count_peers()
    except Refused:
        return standing
    finally:
        rpc.close()
    if status.node_info.network != network:  # another network's CometBFT has the port
        return standing
    return dataclasses.replace(
        standing,
        peers=peers,
        power=int(status.validator_info.voting_power),
        is_catching_up=status.sync_info.catching_up,
    )
