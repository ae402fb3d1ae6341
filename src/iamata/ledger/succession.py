"""What a network starts from that continues another one: its predecessor's map and log, as they stood.

Members, people, patients, consents, anchors and accesses go on, and so does every height; only who orders
changes. More of the members than a vote takes have signed that, so nobody continues a network alone.
"""

import itertools
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from iamata.crypto.authmap import AuthMap
from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.jws import verify_jws
from iamata.crypto.tiles import Frontier
from iamata.ledger.entries import Entry, KeyOwner, MemberStatus, OwnerKind, Validators
from iamata.ledger.envelope import read_statement, sign_statement
from iamata.ledger.genesis import (
    FOUNDERS_MAX,
    Continuation,
    Genesis,
    Predecessor,
    check_genesis,
    compute_charter,
    compute_network_id,
)
from iamata.ledger.header import compute_app_hash
from iamata.ledger.parameters import count_deciding
from iamata.ledger.receipts import StateProof, check_checkpoint, check_state_proof
from iamata.ledger.tables import CURRENT, KEYS, MEMBERS, PARAMETERS, ROLLS, VALIDATORS, Bytes
from iamata.model.canonical import encode_struct
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require

PREDECESSORS_MAX: Final = 16
PROOFS_MAX: Final = 2 * FOUNDERS_MAX + 2


class Ancestor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network that was continued, and what proves, to whoever trusts it, that its members agreed."""

    genesis: Genesis
    proofs: Annotated[tuple[StateProof, ...], msgspec.Meta(max_length=PROOFS_MAX)] = ()
    """Of who its members were in the end, and how many decide: against its own last signed header."""


class Lineage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The networks that one goes on from, oldest first."""

    predecessors: Annotated[tuple[Ancestor, ...], msgspec.Meta(max_length=PREDECESSORS_MAX)] = ()


class Proven:
    """So much of a map as somebody has proven."""

    def __init__(self, values: dict[bytes, str | None]) -> None:
        self._values = values

    def get(self, key: bytes) -> bytes | None:
        """Return the value at a key, or refuse to guess."""
        require(key in self._values, Reason.FAULT_FOUND, "a proof is missing of who agreed")
        value = self._values[key]
        return None if value is None else value.encode("utf-8")


def agree(genesis: Genesis, key: SigningKey) -> str:
    """Sign, with a member's key, that the network goes on under this genesis."""
    statement = Continuation(network=get_predecessor(genesis).network, charter=compute_charter(genesis))
    return sign_statement(statement, key).text


def get_predecessor(genesis: Genesis) -> Predecessor:
    """Return what a genesis continues, or refuse one that founds a network."""
    if genesis.continues is None:
        raise Refused(Reason.MALFORMED, "this genesis continues no network")
    return genesis.continues


def compute_succession(
    entries: AuthMap, frontier: Frontier, time_ms: int, genesis: Genesis
) -> dict[bytes, bytes]:
    """Compute what a successor changes in the map that it takes over, or refuse to take it over.

    Refuse another map or log than the genesis names, a time that does not move on, too few agreements,
    and validators that are no active members or whose key somebody has.
    """
    found = compute_app_hash(state_root=entries.root, log_root=frontier.root(), log_size=frontier.size)
    is_same = found == get_predecessor(genesis).app_hash
    require(is_same, Reason.FOREIGN_NETWORK, "the genesis continues another ledger than this one")
    is_later = genesis.created_ms > time_ms
    require(is_later, Reason.MALFORMED, "the genesis is not later than what it continues")
    check_agreements(entries, genesis)
    return {key: encode_struct(entry) for key, entry in _change_validators(entries, genesis).items()}


def check_agreements(entries: Bytes, genesis: Genesis) -> None:
    """Refuse unless as many active members agree as decide a vote, each once and with its own key."""
    roll, parameters = ROLLS.find(entries, CURRENT), PARAMETERS.find(entries, CURRENT)
    if roll is None or parameters is None:
        raise Refused(Reason.FOREIGN_NETWORK, "what is continued is no ledger")
    agreed = [_read_agreement(text, entries, genesis) for text in genesis.agreements]
    is_ordered = agreed == sorted(dict.fromkeys(agreed))
    require(is_ordered, Reason.NOT_CANONICAL, "the agreements are not in the members' order, each once")
    needed = count_deciding(len(roll.active), parameters)
    counted = f"{len(agreed)} of {len(roll.active)} members agree, {needed} must"
    require(len(agreed) >= needed, Reason.NOT_AGREED, counted)


def check_lineage(lineage: Sequence[Genesis]) -> None:
    """Refuse unless the first founds a network and each of the others continues the one before it."""
    for genesis in lineage:
        check_genesis(genesis)
    require(lineage[0].continues is None, Reason.FOREIGN_NETWORK, "the first network's genesis is missing")
    for before, after in itertools.pairwise(lineage):
        check_link(before, after)


def check_link(before: Genesis, after: Genesis) -> None:
    """Refuse unless one genesis continues the network of the other."""
    is_named = get_predecessor(after).network == compute_network_id(before)
    require(is_named, Reason.FOREIGN_NETWORK, "a genesis continues another network than the one before")


def list_evidence(entries: Bytes, genesis: Genesis) -> list[bytes]:
    """List the keys of the predecessor's map on which it depends whether its members agreed."""
    keys = [ROLLS.key(CURRENT), PARAMETERS.key(CURRENT)]
    for text in genesis.agreements:
        key = read_statement(text, Continuation).key
        owner = KEYS.find(entries, key)
        keys += [KEYS.key(key)] + ([] if owner is None else [MEMBERS.key(owner.owner)])
    return keys


def check_succession(ancestor: Ancestor, genesis: Genesis) -> None:
    """Refuse unless the members of a network that one trusts have agreed that it goes on like this.

    Each proof leads to a header that whoever ordered the trusted network has signed.
    """
    check_link(ancestor.genesis, genesis)
    values: dict[bytes, str | None] = {}
    for proof in ancestor.proofs:
        standing = check_checkpoint(proof.checkpoint, ancestor.genesis)
        is_end = standing.app_hash == get_predecessor(genesis).app_hash
        require(is_end, Reason.FAULT_FOUND, "a proof is not of where the network is continued")
        values[proof.key.encode("utf-8")] = check_state_proof(proof, ancestor.genesis)
    check_agreements(Proven(values), genesis)


def _read_agreement(text: str, entries: Bytes, genesis: Genesis) -> MemberId:
    statement = read_statement(text, Continuation)
    is_meant = (statement.payload.network, statement.payload.charter) == (
        get_predecessor(genesis).network,
        compute_charter(genesis),
    )
    require(is_meant, Reason.FOREIGN_NETWORK, "an agreement is to another genesis")
    require(verify_jws(statement.jws), Reason.BAD_SIGNATURE, "an agreement")
    owner = KEYS.find(entries, statement.key)
    is_members = owner is not None and owner.kind is OwnerKind.MEMBER and not owner.is_retired
    if owner is None or not is_members:
        raise Refused(Reason.NOT_A_MEMBER, "an agreement is signed by no member's node")
    member = MEMBERS.find(entries, owner.owner)
    is_active = member is not None and member.status is MemberStatus.ACTIVE
    require(is_active, Reason.MEMBER_NOT_ACTIVE, f"{owner.owner} agrees")
    return MemberId(owner.owner)


def _change_validators(entries: Bytes, genesis: Genesis) -> dict[bytes, Entry]:
    """Retire the keys of those who ordered, and register those of who orders from now on."""
    before, changes = VALIDATORS.find(entries, CURRENT), dict[bytes, Entry]()
    for gone in () if before is None else before.active:
        owner = KEYS.find(entries, gone.key)
        if owner is not None:
            changes[KEYS.key(gone.key)] = msgspec.structs.replace(owner, is_retired=True)
    for one in genesis.validators:
        member = MEMBERS.find(entries, one.member)
        require(member is not None, Reason.UNKNOWN_MEMBER, f"{one.member} is to order")
        is_active = member is not None and member.status is MemberStatus.ACTIVE
        require(is_active, Reason.MEMBER_NOT_ACTIVE, f"{one.member} is to order")
        is_new = KEYS.find(entries, one.key) is None
        require(is_new, Reason.KEY_ALREADY_USED, f"the consensus key of {one.member}")
        changes[KEYS.key(one.key)] = KeyOwner(kind=OwnerKind.VALIDATOR, owner=one.member)
    if before is not None or genesis.validators:
        changes[VALIDATORS.key(CURRENT)] = Validators(active=genesis.validators)
    return changes
