"""Receipts and proofs: what anyone who has the genesis can check alone, offline.

A receipt leads from one transaction's leaf through the log's root and the app hash to a signed header.
A state proof leads from one entry, or its absence, through the map's root to the same header. A growth
proof shows that a later log only added to an earlier one: whoever keeps the last checkpoint that was
checked, and asks for growth from it, is never shown a rewritten log.
"""

from typing import Annotated, Final

import msgspec

from iamata.crypto.authmap import FrozenMap, MapProof, verify_map_proof
from iamata.crypto.merkle import hash_leaf, verify_consistency, verify_inclusion
from iamata.ledger.genesis import Genesis, compute_network_id, get_orderer
from iamata.ledger.header import Header, compute_app_hash, read_header
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.model.canonical import INTEGER_MAX
from iamata.model.ids import Digest, decode_digest, encode_digest
from iamata.model.reasons import Reason, Refused, require

PROOF_LENGTH_MAX: Final = 64

Path = Annotated[tuple[Digest, ...], msgspec.Meta(max_length=PROOF_LENGTH_MAX)]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signed header with the two roots and the size that its app hash binds."""

    header: str
    state_root: Digest
    log_root: Digest
    log_size: int


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a transaction is in the log, and what came of it."""

    leaf: str
    index: int
    path: Path
    checkpoint: Checkpoint


class StateProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a key of the map has this value, or none."""

    key: str
    value: str | None
    proof: MapProof
    checkpoint: Checkpoint


class GrowthProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That the log at a checkpoint begins with all that it held at an earlier size (RFC 9162, 2.1.4)."""

    earlier_size: int
    path: Path
    checkpoint: Checkpoint


def write_checkpoint(
    header: bytes | None, *, state_root: bytes, log_root: bytes, log_size: int
) -> Checkpoint:
    """Put a signed header beside what its app hash binds, or refuse where no block was signed yet."""
    if header is None:
        raise Refused(Reason.NOT_FOUND, "a ledger without blocks has no signed header yet")
    return Checkpoint(
        header=header.decode("ascii"),
        state_root=Digest(encode_digest(state_root)),
        log_root=Digest(encode_digest(log_root)),
        log_size=log_size,
    )


def write_state_proof(key: bytes, entries: FrozenMap, checkpoint: Checkpoint) -> StateProof:
    """Prove what a map holds at a key, or that it holds nothing."""
    value = entries.get(key)
    return StateProof(
        key=key.decode("ascii"),
        value=None if value is None else value.decode("utf-8"),
        proof=entries.prove(key),
        checkpoint=checkpoint,
    )


def check_growth(proof: GrowthProof, earlier: Checkpoint, genesis: Genesis) -> None:
    """Refuse unless a log that was checked before is the beginning of the one that is shown now."""
    check_checkpoint(earlier, genesis)
    check_checkpoint(proof.checkpoint, genesis)
    if earlier.log_size == 0:
        return
    is_grown = proof.earlier_size == earlier.log_size and verify_consistency(
        first=earlier.log_size,
        second=proof.checkpoint.log_size,
        first_root=decode_digest(earlier.log_root),
        second_root=decode_digest(proof.checkpoint.log_root),
        proof=[decode_digest(node) for node in proof.path],
    )
    require(is_grown, Reason.FAULT_FOUND, "the log was rewritten, or the proof of its growth is none")


def check_checkpoint(checkpoint: Checkpoint, genesis: Genesis) -> Header:
    """Return the header that the network's orderer has signed over these roots, or refuse."""
    is_well_formed = checkpoint.header.isascii() and 0 <= checkpoint.log_size <= INTEGER_MAX
    require(is_well_formed, Reason.MALFORMED, "a checkpoint")
    header = read_header(checkpoint.header.encode("ascii"), orderer=get_orderer(genesis))
    require(header.network == compute_network_id(genesis), Reason.FOREIGN_NETWORK, "a checkpoint")
    app_hash = compute_app_hash(
        state_root=decode_digest(checkpoint.state_root),
        log_root=decode_digest(checkpoint.log_root),
        log_size=checkpoint.log_size,
    )
    require(header.app_hash == app_hash, Reason.FAULT_FOUND, "the app hash of a checkpoint")
    return header


def check_receipt(receipt: Receipt, genesis: Genesis) -> Leaf:
    """Return the leaf that a receipt proves, or refuse."""
    check_checkpoint(receipt.checkpoint, genesis)
    is_included = verify_inclusion(
        leaf_hash=hash_leaf(receipt.leaf.encode("utf-8")),
        index=receipt.index,
        size=receipt.checkpoint.log_size,
        proof=[decode_digest(node) for node in receipt.path],
        root=decode_digest(receipt.checkpoint.log_root),
    )
    require(is_included, Reason.FAULT_FOUND, "the path of a receipt")
    return decode_leaf(receipt.leaf.encode("utf-8"))


def check_state_proof(proof: StateProof, genesis: Genesis) -> str | None:
    """Return the value that a proof shows for its key, None where it shows absence, or refuse."""
    check_checkpoint(proof.checkpoint, genesis)
    is_shown = verify_map_proof(
        decode_digest(proof.checkpoint.state_root),
        proof.key.encode("utf-8"),
        None if proof.value is None else proof.value.encode("utf-8"),
        proof.proof,
    )
    require(is_shown, Reason.FAULT_FOUND, "a proof of state")
    return proof.value
