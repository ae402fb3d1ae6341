"""Wire the engine of a validator's home: the ledger, the witness of its commits, the way to CometBFT."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from iamata.engines.comet.backfill import Backfill
from iamata.engines.comet.broadcasting import RpcBroadcast
from iamata.engines.comet.engine import CometEngine
from iamata.engines.comet.rpc import CometRpc
from iamata.engines.comet.witness import Witness
from iamata.engines.keeping.beginning import Beginning, Hold
from iamata.ledger.genesis import Genesis, compute_network_id
from iamata.node.comet_home import COMET_FOLDER, NamedPeers
from iamata.node.comet_process import StartingBroadcast
from iamata.node.configuration import Comet
from iamata.node.introduction import INTRODUCTION_FILE, check_introduction, read_introduction

LOGS_FOLDER: Final = "logs"
COMET_LOG: Final = "cometbft.log"


def open_comet(  # noqa: PLR0913  what the engine of a home is wired from
    home: Path,
    folder: Path,
    genesis: Genesis,
    settings: Comet,
    *,
    clock: Callable[[], int],
    is_supervised: bool,
) -> CometEngine:
    """Open the engine of a home whose CometBFT orders together with others'.

    Where nobody supervises CometBFT, it is started with the first transaction, and stopped in the end.
    """
    home = home.resolve()
    log = home / LOGS_FOLDER / COMET_LOG
    starting = StartingBroadcast(home, folder=home / COMET_FOLDER, log=log, rpc=settings.rpc)
    witness = Witness(folder, genesis, CometRpc(settings.rpc), clock=clock)
    try:
        return CometEngine(
            folder,
            genesis,
            address=f"unix://{_shorten(home / settings.application)}",
            broadcast=RpcBroadcast(settings.rpc) if is_supervised else starting,
            peers=NamedPeers(home / COMET_FOLDER),
            witness=witness,
            hold=make_hold(home, folder, genesis, clock),
            clock=clock,
            part=starting.close,
            blocks_kept=settings.blocks_kept,
        )
    except BaseException:
        witness.close()
        raise


def make_hold(home: Path, folder: Path, genesis: Genesis, clock: Callable[[], int]) -> Hold:
    """Make what a snapshot is held against when one comes: headers, from the one that the home trusts."""

    def hold(beginning: Beginning) -> None:
        introduction = read_introduction(home / COMET_FOLDER / INTRODUCTION_FILE)
        check_introduction(introduction, network=compute_network_id(genesis), now_ms=clock())
        with contextlib.closing(CometRpc(introduction.rpc)) as rpc:
            Backfill(folder, genesis, introduction.trusted, rpc, clock=clock)(beginning)

    return hold


def _shorten(path: Path) -> str:
    """Spell a path as shortly as can be: the system allows a socket's name 107 characters."""
    return min(str(path), os.path.relpath(path), key=len)
