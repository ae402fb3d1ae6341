"""A block as it is kept, exported and replayed: signed header, transactions and leaves, a line each."""

import msgspec


class StoredBlock(msgspec.Struct, frozen=True):
    """One block with its place in the ledger."""

    height: int
    time_ms: int
    first_leaf: int
    header: bytes
    transactions: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
