"""Hold blocks against the headers that validators signed for their heights, and name the first fault.

That a header is to be believed was found before, or follows here from one that is: each names the hash of
the one before it.
"""

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.bundles import list_bundles
from iamata.ledger.genesis import Genesis
from iamata.ledger.header import read_block_header
from iamata.ledger.light.blocks import (
    NO_ITEMS_HASH,
    LightBlock,
    LightHeader,
    compute_data_hash,
    compute_light_hash,
)
from iamata.ledger.light.verifying import Trust, check_light_block, trust_light_block
from iamata.model.reasons import Reason, Refused, require


def check_block(block: StoredBlock, header: LightHeader) -> None:
    """Refuse a block unless it is the one that a header names."""
    found = {
        "time": header.time.ms == block.time_ms,
        "transactions": header.data_hash == compute_data_hash(list_bundles(block)),
        "evidence": not block.misbehaviours or header.evidence_hash != NO_ITEMS_HASH,
    }
    for what, is_right in found.items():
        if not is_right:
            raise _find_fault(block.height, f"its validators have voted for another {what}")


def check_before(light: LightBlock, following: LightBlock, trust: Trust) -> None:
    """Refuse a light block unless the one after it, which is believed, names it, and its votes hold."""
    named = following.header.last_block
    follows = named is not None and named.hash == compute_light_hash(light.header)
    is_before = follows and light.header.height + 1 == following.header.height
    require(is_before, Reason.FAULT_FOUND, f"the header of height {light.header.height} is not that one")
    check_light_block(light, trust_light_block(light, trust))


def check_result(block: StoredBlock, following: LightBlock, genesis: Genesis) -> None:
    """Refuse a block unless the header after it names what the block says that it came to."""
    came_to = read_block_header(block.header, genesis).app_hash
    if following.header.app_hash != came_to:
        raise _find_fault(block.height, "its validators have voted for another app hash after it")


def _find_fault(height: int, what: str) -> Refused:
    return Refused(Reason.FAULT_FOUND, f"block {height}: {what}")
