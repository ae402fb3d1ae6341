"""Where a member's stores lie on disk: `members/<id>/` with vault, keys and journal, all private."""

from pathlib import Path
from typing import Final

from iamata.stores.sqlite.journal import JournalFile
from iamata.stores.sqlite.keys import WrappedKeyFile
from iamata.stores.sqlite.openings import OpeningFile
from iamata.stores.sqlite.records import RecordFile
from iamata.vault.custody import MemberStores

VAULT_FOLDER: Final = "vault"
KEYS_FOLDER: Final = "keys"
JOURNAL_FOLDER: Final = "journal"


def open_member_stores(folder: Path) -> MemberStores:
    """Open, or create, the four stores of the member whose folder this is."""
    return MemberStores(
        records=RecordFile(folder / VAULT_FOLDER),
        keys=WrappedKeyFile(folder / KEYS_FOLDER),
        journal=JournalFile(folder / JOURNAL_FOLDER),
        openings=OpeningFile(folder / VAULT_FOLDER),
    )
