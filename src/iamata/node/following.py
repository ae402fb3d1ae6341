"""Let a wallet follow its network where that goes on under another id.

The wallet trusts one network by its id. A node that shows another one has to prove that the members of the
trusted one agreed, and that the log which the wallet has seen is the beginning of what is shown now.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine, fetch_lineage
from iamata.ledger.genesis import Genesis, compute_network_id
from iamata.ledger.receipts import Checkpoint, check_growth
from iamata.ledger.succession import check_succession
from iamata.model.ids import NetworkId
from iamata.model.reasons import Reason, require
from iamata.node.home import load_genesis
from iamata.node.lineage import list_geneses, read_lineage
from iamata.stores.checkpoints import CheckpointFile
from iamata.stores.outboxes import load_outbox, save_outbox
from iamata.stores.wallets import load_wallet, save_wallet
from iamata.wire.bodies import NodeInfo
from iamata.workflows import outbox, wallets
from iamata.workflows.wallets import Wallet, get_key


@dataclasses.dataclass(frozen=True, slots=True)
class Followed:
    """A network's id, and the one under which it goes on."""

    before: NetworkId
    after: NetworkId


def follow_at_node(url: str, folder: Path, *, authorities: Path | None = None) -> list[Followed]:
    """Follow to the network of a node, which has to prove each step from one that the wallet trusts."""
    wallet = load_wallet(folder)
    with contextlib.closing(Connection(url, authorities=authorities)) as asking:
        info = asking.get("/v1/node", NodeInfo)
        lineage, genesis = fetch_lineage(asking)
    geneses = (*list_geneses(lineage), genesis)
    first = _find_trusted(wallet, geneses)
    for ancestor, after in zip(lineage.predecessors[first:], geneses[first + 1 :], strict=True):
        check_succession(ancestor, after)
    seen = _list_seen(CheckpointFile(folder), geneses[:-1])
    if seen:
        keys = [get_key(one) for one in wallet.identities if one.member == info.member]
        require(bool(keys), Reason.WALLET_NOT_FOUND, f"ask a node that knows it; {info.member} does not")
        _check_logs(Connection(url, key=keys[0], authorities=authorities), genesis, seen)
    return _move(folder, geneses[first:])


def follow_in_home(path: Path, folder: Path) -> list[Followed]:
    """Follow to the network of a home on this disk, whose owner has verified where it comes from."""
    genesis = load_genesis(path)
    geneses = (*list_geneses(read_lineage(path, genesis)), genesis)
    return _move(folder, geneses[_find_trusted(load_wallet(folder), geneses) :])


def move_wallet(folder: Path, *, before: NetworkId, after: NetworkId) -> None:
    """Rename a network in a wallet, and in what waits in its outbox; whoever calls this has checked it."""
    box = load_outbox(folder)
    moved = outbox.follow(box, before=before, after=after)
    if moved != box:
        save_outbox(folder, moved)
    # Last: while the wallet knows the old network, what was broken off can be done again.
    save_wallet(folder, wallets.follow(load_wallet(folder), before=before, after=after))


def _find_trusted(wallet: Wallet, geneses: Sequence[Genesis]) -> int:
    """Return the place of the oldest network that the wallet is known to, or refuse a stranger's."""
    known = [one.network for one in wallet.identities]
    trusted = [place for place, one in enumerate(geneses) if compute_network_id(one) in known]
    require(bool(trusted), Reason.FOREIGN_NETWORK, "it goes on from no network that the wallet knows")
    return trusted[0]


def _list_seen(file: CheckpointFile, geneses: Sequence[Genesis]) -> list[tuple[Genesis, Checkpoint]]:
    """List what the wallet has seen of logs under older geneses."""
    return [
        (genesis, checkpoint)
        for genesis in geneses
        for checkpoint in file.list_of(compute_network_id(genesis))
        if checkpoint.log_size
    ]


def _check_logs(
    connection: Connection, genesis: Genesis, seen: Sequence[tuple[Genesis, Checkpoint]]
) -> None:
    """Refuse unless every log that the wallet has seen goes on in the node's."""
    with contextlib.closing(RemoteEngine(connection, genesis)) as engine:
        view = engine.snapshot()
        for before, earlier in seen:
            check_growth(view.prove_growth(earlier.log_size), earlier, genesis, before=before)


def _move(folder: Path, geneses: Sequence[Genesis]) -> list[Followed]:
    ids = list(map(compute_network_id, geneses))
    for before in ids[:-1]:
        move_wallet(folder, before=before, after=ids[-1])
    return [Followed(before, after) for before, after in itertools.pairwise(ids)]
