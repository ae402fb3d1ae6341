"""A block as it is kept, exported and replayed: header, transactions and leaves, a line each."""

import msgspec

from iamata.ledger.misbehaviour import Misbehaviour


class StoredBlock(msgspec.Struct, frozen=True):
    """One block with its place in the ledger."""

    height: int
    time_ms: int
    first_leaf: int
    header: bytes
    transactions: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    groups: tuple[int, ...] = ()
    """How many transactions consensus ordered together, bundle by bundle; empty where each came alone."""
    misbehaviours: tuple[Misbehaviour, ...] = ()
    """What consensus has seen of validators; their leaves stand in front of the transactions'."""
