"""Consensus transactions: many signed transactions, a line each, because consensus costs per message."""

import itertools

from iamata.ledger.blocks import StoredBlock


def list_bundles(block: StoredBlock) -> list[bytes]:
    """List what consensus ordered in a block, as it saw it."""
    lines = iter(block.transactions)
    sizes = block.groups or (1,) * len(block.transactions)
    return [b"\n".join(itertools.islice(lines, size)) for size in sizes]
