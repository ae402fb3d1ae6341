"""A member's stores in memory."""

from iamata.stores.memory.journal import JournalMemory
from iamata.stores.memory.keys import WrappedKeyMemory
from iamata.stores.memory.openings import OpeningMemory
from iamata.stores.memory.records import RecordMemory
from iamata.vault.custody import MemberStores


def make_member_stores() -> MemberStores:
    """Make the four stores of a member, empty."""
    return MemberStores(
        records=RecordMemory(), keys=WrappedKeyMemory(), journal=JournalMemory(), openings=OpeningMemory()
    )
