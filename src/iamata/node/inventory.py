"""Which files a home consists of. A verifier begins here: nothing may be missing, and nothing left behind.

Which members a home serves only the home itself knows: `served.json` says it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from iamata.engines.comet.engine import SNAPSHOTS
from iamata.engines.follower.following import FORK_FILE
from iamata.engines.keeping import commits, storage
from iamata.engines.keeping.beginning import BEGINNING_FILE
from iamata.engines.keeping.commits import COMMITS_FILE
from iamata.engines.keeping.lock import LOCK_FILE
from iamata.model.reasons import Reason, Refused, require
from iamata.node import home as homes
from iamata.node.comet_engine import LOGS_FOLDER
from iamata.node.comet_home import COMET_FOLDER
from iamata.node.configuration import NODE_FILE, Comet, Embedded, read_configuration
from iamata.node.continued import CONTINUED_FILE
from iamata.node.lineage import PREDECESSORS_FILE, list_geneses, read_lineage
from iamata.node.offers import CONTINUING_FILE
from iamata.node.served import SERVED_FILE, check_served
from iamata.stores.checkpoints import CHECKPOINTS_FILE
from iamata.stores.outboxes import OUTBOX_FILE
from iamata.stores.sqlite import journal, keys, openings, records
from iamata.stores.sqlite.database import Schema
from iamata.stores.sqlite.home import JOURNAL_FOLDER, KEYS_FOLDER, VAULT_FOLDER
from iamata.stores.sqlite.inspection import SIDES, holding_still
from iamata.stores.wallets import WALLET_FILE

LEDGER_SCHEMA: Final = Schema(version=0, statements=storage.SCHEMA)
"""The ledger's file carries no number; its version is in what it replays to."""
COMMITS_SCHEMA: Final = Schema(version=0, statements=commits.SCHEMA)
COMETS_OWN: Final = (f"{COMET_FOLDER}/", f"{homes.LEDGER_FOLDER}/{SNAPSHOTS}/")
"""What CometBFT keeps for itself, and what the node offers to others that begin late: both can be lost."""
LEDGER_FILES: Final = (storage.LEDGER_FILE, LOCK_FILE)
OPTIONAL_FILES: Final = (
    NODE_FILE,
    CONTINUED_FILE,
    CONTINUING_FILE,
    f"{homes.LEDGER_FOLDER}/{FORK_FILE}",
    f"{homes.LEDGER_FOLDER}/{BEGINNING_FILE}",
)
WALLET_FILES: Final = (f"/{WALLET_FILE}", f"/{OUTBOX_FILE}", f"/{CHECKPOINTS_FILE}")
MEMBER_KEYS: Final = tuple(
    f"{KEYS_FOLDER}/{name}" for name in (homes.SIGNING_KEY, homes.SEALING_KEY, homes.VAULT_KEY)
)
MEMBER_STORES: Final = (
    (f"{VAULT_FOLDER}/{records.RECORDS_FILE}", records.SCHEMA, True),
    (f"{VAULT_FOLDER}/{openings.OPENINGS_FILE}", openings.SCHEMA, True),
    (f"{KEYS_FOLDER}/{keys.KEYS_FILE}", keys.SCHEMA, False),
    (f"{JOURNAL_FOLDER}/{journal.JOURNAL_FILE}", journal.SCHEMA, True),
)
"""A member's files of SQLite, each with its schema and whether it has a write-ahead log."""


def check_inventory(path: Path) -> None:
    """Refuse a home in which a file is missing, or that holds one which is not a home's."""
    folders = homes.list_member_folders(path)
    engine = read_configuration(path).engine
    ledger_files = [*LEDGER_FILES]
    if isinstance(engine, Embedded):
        ledger_files.append(homes.ORDERER_KEY)
    if isinstance(engine, Comet):
        ledger_files.append(COMMITS_FILE)
    required = [
        homes.GENESIS_FILE,
        SERVED_FILE,
        *(f"{homes.LEDGER_FOLDER}/{name}" for name in ledger_files),
    ]
    for folder in folders:
        place = f"{homes.MEMBERS_FOLDER}/{folder.name}"
        required += [f"{place}/{name}" for name in (*MEMBER_KEYS, *(store[0] for store in MEMBER_STORES))]
    for name in required:
        require((path / name).is_file(), Reason.FAULT_FOUND, f"{name} is missing")
    check_served(path, [folder.name for folder in folders])
    for name in (inherited := list_inherited(path)):
        require((path / name).is_file(), Reason.FAULT_FOUND, f"{name} is missing")
    required += inherited
    known = dict.fromkeys((*required, *OPTIONAL_FILES)) | {
        name + side: None for name in required if name.endswith(".db") for side in SIDES
    }
    for name in _list_files(path):
        is_next_key = name.endswith(f"/{KEYS_FOLDER}/{homes.NEXT_KEY}")
        is_wallet = name.startswith(f"{homes.WALLETS_FOLDER}/") and name.endswith(WALLET_FILES)
        is_of_others = name.startswith(f"{LOGS_FOLDER}/") or (
            isinstance(engine, Comet) and name.startswith(COMETS_OWN)
        )
        is_known = name in known or is_wallet or is_next_key or is_of_others
        require(is_known, Reason.FAULT_FOUND, f"{name} is not a file of a home")


def list_inherited(path: Path) -> list[str]:
    """List the files of a home whose network continues another: whose it was, and who voted there."""
    with contextlib.suppress(Refused):  # what is wrong with them is named when they are verified
        genesis = homes.load_genesis(path)
        if genesis.continues is None:
            return []
        before = list_geneses(read_lineage(path, genesis))
        had_votes = any(one.validators for one in before)
        return [PREDECESSORS_FILE, *([f"{homes.LEDGER_FOLDER}/{COMMITS_FILE}"] if had_votes else [])]
    return [PREDECESSORS_FILE] if (path / PREDECESSORS_FILE).exists() else []


@contextlib.contextmanager
def holding_ledger_still(folder: Path) -> Iterator[None]:
    """Check the pages of the ledger's files, and keep them from changing meanwhile."""
    with contextlib.ExitStack() as held:
        held.enter_context(holding_still(folder / storage.LEDGER_FILE, LEDGER_SCHEMA, keeps_journal=True))
        if (folder / COMMITS_FILE).exists():
            held.enter_context(holding_still(folder / COMMITS_FILE, COMMITS_SCHEMA, keeps_journal=True))
        yield


@contextlib.contextmanager
def holding_stores_still(folder: Path) -> Iterator[None]:
    """Check the pages of a member's stores, and keep them from changing meanwhile."""
    with contextlib.ExitStack() as held:
        for name, schema, keeps_journal in MEMBER_STORES:
            held.enter_context(holding_still(folder / name, schema, keeps_journal=keeps_journal))
        yield


def _list_files(path: Path) -> list[str]:
    return sorted(one.relative_to(path).as_posix() for one in path.rglob("*") if not one.is_dir())
