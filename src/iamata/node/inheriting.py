"""What a new home takes over from an old one that stands still: ledger, stores, keys and wallets.

Copied, not moved: the old home stays whole until its owner removes it.
"""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.keeping.commits import COMMITS_FILE, CommitFile
from iamata.engines.keeping.keeper import LedgerKeeper
from iamata.engines.keeping.lock import LedgerLock
from iamata.engines.keeping.storage import LEDGER_FILE
from iamata.ledger.genesis import Genesis, compute_network_id
from iamata.ledger.header import sign_header
from iamata.ledger.succession import Lineage, get_predecessor
from iamata.model.canonical import encode_struct
from iamata.model.ids import MemberId
from iamata.node.following import move_wallet
from iamata.node.home import (
    GENESIS_FILE,
    GENESIS_MODE,
    LEDGER_FOLDER,
    MEMBERS_FOLDER,
    WALLETS_FOLDER,
    list_member_folders,
)
from iamata.node.keyfiles import FOLDER_MODE, write_new
from iamata.node.lineage import write_lineage
from iamata.node.served import write_served
from iamata.stores.checkpoints import CHECKPOINTS_FILE
from iamata.stores.sqlite.inspection import SIDES
from iamata.stores.wallets import load_wallet

_COPIED: Final = tuple(name + side for name in (LEDGER_FILE, COMMITS_FILE) for side in ("", *SIDES))


def copy_home(source: Path, home: Path, longest: Path, members: Sequence[MemberId]) -> None:
    """Copy some members' folders and wallets out of a home, and the longest copy of the ledger."""
    home.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    (home / LEDGER_FOLDER).mkdir(mode=FOLDER_MODE)
    for name in _COPIED:
        if (longest / LEDGER_FOLDER / name).exists():
            shutil.copy2(longest / LEDGER_FOLDER / name, home / LEDGER_FOLDER / name)
    (home / MEMBERS_FOLDER).mkdir(mode=FOLDER_MODE)
    for member in members:
        shutil.copytree(source / MEMBERS_FOLDER / member, home / MEMBERS_FOLDER / member)
    (home / WALLETS_FOLDER).mkdir(mode=FOLDER_MODE)
    for folder in sorted((source / WALLETS_FOLDER).glob("*/")):
        if find_keeper(folder, source) in members:
            # What was checked of the old network's headers says nothing about the new one's.
            ignored = shutil.ignore_patterns(CHECKPOINTS_FILE)
            shutil.copytree(folder, home / WALLETS_FOLDER / folder.name, ignore=ignored)


def find_keeper(wallet: Path, home: Path) -> str:
    """Say in whose new home a wallet goes on: of the first member that knows it, or the home's first."""
    served = [folder.name for folder in list_member_folders(home)]
    known = [one.member for one in load_wallet(wallet).identities if one.member in served]
    return [*known, *served][0]


def begin_embedded(folder: Path, genesis: Genesis, orderer: SigningKey) -> None:
    """Make the first block under a genesis, an empty one: its header names what the network starts from.

    Its time follows from the genesis, so that each member's copy has the same.
    """
    with _keeping(folder, genesis) as keeper:
        position = keeper.state.place(genesis.created_ms)
        outcome = keeper.state.run(position, [])
        keeper.keep(position, [], outcome, lambda header: sign_header(header, orderer))


def begin_validator(folder: Path, genesis: Genesis) -> None:
    """Make sure that validators can begin on what was copied: CometBFT makes the first block by itself."""
    check_begun(folder, genesis)
    CommitFile(folder, is_writer=True).close()


def check_begun(folder: Path, genesis: Genesis) -> None:
    """Refuse what was copied unless the network can go on from there under this genesis."""
    with _keeping(folder, genesis):
        """Opening it has compared it with the genesis."""


def finish_home(home: Path, genesis: Genesis, lineage: Lineage, members: Sequence[MemberId]) -> None:
    """Write what makes a new home one; the genesis last, so that a home is whole or none."""
    for folder in sorted((home / WALLETS_FOLDER).glob("*/")):
        move_wallet(folder, before=get_predecessor(genesis).network, after=compute_network_id(genesis))
    write_served(home, members)
    write_lineage(home, lineage)
    write_new(home / GENESIS_FILE, encode_struct(genesis), mode=GENESIS_MODE)


@contextlib.contextmanager
def _keeping(folder: Path, genesis: Genesis) -> Iterator[LedgerKeeper]:
    lock = LedgerLock(folder)
    try:
        with contextlib.closing(LedgerKeeper(folder, genesis)) as keeper:
            keeper.check_inheritance()
            yield keeper
    finally:
        lock.release()
