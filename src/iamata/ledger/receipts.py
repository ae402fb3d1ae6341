"""Receipts and proofs: what anyone who has the genesis can check alone, offline.

A receipt leads from one transaction's leaf through the log's root and the app hash to a signed header: the
orderer's own or, where validators order, CometBFT's, with the votes of over two thirds of their weight.
A state proof leads from one entry, or its absence, through the map's root to the same header. A growth
proof shows that a later log only added to an earlier one: whoever keeps the last checkpoint that was
checked, and asks for growth from it, is never shown a rewritten log.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from iamata.crypto.authmap import FrozenMap, MapProof, verify_map_proof
from iamata.crypto.merkle import hash_leaf, verify_consistency, verify_inclusion
from iamata.ledger.genesis import Genesis, compute_network_id, get_orderer
from iamata.ledger.header import compute_app_hash, read_header
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.ledger.light.blocks import read_light_block
from iamata.ledger.light.verifying import Trust, check_light_block, trust_genesis
from iamata.model.canonical import INTEGER_MAX
from iamata.model.ids import Digest, decode_digest, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require

PROOF_LENGTH_MAX: Final = 64
STEPS_MAX: Final = 16

Path = Annotated[tuple[Digest, ...], msgspec.Meta(max_length=PROOF_LENGTH_MAX)]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A signed header with the two roots and the size that its app hash binds."""

    header: str
    """The orderer's JWS; or a light block, whose app hash is what the block before it came to."""
    steps: Annotated[tuple[str, ...], msgspec.Meta(max_length=STEPS_MAX)] = ()
    """Light blocks between genesis and header, where too few of the first validators signed the header."""
    state_root: Digest
    log_root: Digest
    log_size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """Where a ledger stood, as whoever orders it vouches."""

    height: int
    time_ms: Instant
    """Not before the block's own."""
    app_hash: Digest


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
    header: bytes | None,
    *,
    state_root: bytes,
    log_root: bytes,
    log_size: int,
    steps: Sequence[bytes] = (),
) -> Checkpoint:
    """Put a signed header beside what its app hash binds, or refuse where no block was signed yet."""
    if header is None:
        raise Refused(Reason.NOT_FOUND, "a ledger without blocks has no signed header yet")
    return Checkpoint(
        header=header.decode("ascii"),
        steps=tuple(step.decode("ascii") for step in steps),
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


def check_growth(
    proof: GrowthProof, earlier: Checkpoint, genesis: Genesis, *, before: Genesis | None = None
) -> None:
    """Refuse unless a log that was checked before is the beginning of the one that is shown now.

    A log goes on where its network does: then the earlier one was vouched for under the genesis `before`.
    """
    check_checkpoint(earlier, before or genesis)
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


def check_checkpoint(checkpoint: Checkpoint, genesis: Genesis, trust: Trust | None = None) -> Standing:
    """Return where the ledger had these roots, as its orderer or its validators have signed, or refuse.

    Whoever trusts a later light block already begins there instead of with the genesis' validators.
    """
    is_ascii = all(text.isascii() for text in (checkpoint.header, *checkpoint.steps))
    require(is_ascii and 0 <= checkpoint.log_size <= INTEGER_MAX, Reason.MALFORMED, "a checkpoint")
    if genesis.validators:
        standing = _check_votes(checkpoint, trust or trust_genesis(genesis))
    else:
        standing = _check_signature(checkpoint, genesis)
    app_hash = compute_app_hash(
        state_root=decode_digest(checkpoint.state_root),
        log_root=decode_digest(checkpoint.log_root),
        log_size=checkpoint.log_size,
    )
    require(standing.app_hash == app_hash, Reason.FAULT_FOUND, "the app hash of a checkpoint")
    return standing


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


def _check_signature(checkpoint: Checkpoint, genesis: Genesis) -> Standing:
    require(not checkpoint.steps, Reason.MALFORMED, "a checkpoint that one signer vouches for has no steps")
    header = read_header(checkpoint.header.encode("ascii"), orderer=get_orderer(genesis))
    require(header.network == compute_network_id(genesis), Reason.FOREIGN_NETWORK, "a checkpoint")
    return Standing(height=header.height, time_ms=header.time_ms, app_hash=header.app_hash)


def _check_votes(checkpoint: Checkpoint, trust: Trust) -> Standing:
    """Go from what is trusted over each step to a header, which names what the block before it came to."""
    for text in checkpoint.steps:
        trust = check_light_block(read_light_block(text.encode("ascii")), trust)
    light = read_light_block(checkpoint.header.encode("ascii"))
    check_light_block(light, trust)
    header = light.header
    return Standing(height=header.height - 1, time_ms=header.time.ms, app_hash=Digest(header.app_hash))
