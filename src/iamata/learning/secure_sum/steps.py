"""What a site does with the messages of each phase: from its progress to its progress, and its answer.

The messages are signed, of this plan and phase, in the order of their senders and over this site's own
transcript; `site` has checked that. `progress.seen` counts them already.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from iamata.crypto import agreement
from iamata.crypto.shamir import SHARE_BYTES
from iamata.learning.secure_sum import masks
from iamata.learning.secure_sum.encoding import Residues, read_residues, spell_residues
from iamata.learning.secure_sum.material import (
    Material,
    derive_group_key,
    find_secret,
    hash_secret,
    join_group,
    open_once,
    seal_once,
)
from iamata.learning.secure_sum.messages import (
    AnyMessage,
    Keys,
    Masked,
    Reveals,
    Shares,
    Sums,
    Survivors,
)
from iamata.learning.secure_sum.progress import PeerShares, Progress
from iamata.model.reasons import Reason, Refused, require

Step: TypeAlias = tuple[Progress, AnyMessage | None]

_GROUP_PART_BYTES = 32


def take_keys(progress: Progress, material: Material, messages: Sequence[Keys]) -> Step:
    """Share the round's two secrets among those who have announced themselves."""
    keys = {one.sender: one for one in messages}
    plan, seat, seen = progress.plan, progress.seat, progress.last
    own = material.split_secrets(threshold=plan.threshold, holders=len(plan.seats))
    sealed = []
    for peer, theirs in keys.items():
        if peer == seat:
            sealed.append(b"")
            continue
        key = material.derive_channel(theirs.channel, seen=seen, sender=seat, recipient=peer)
        sealed.append(seal_once(key, b"".join(own[peer]) + material.group_part, seen=seen))
    group = hash_secret("group", material.group_part)
    message = Shares(plan=progress.seen[0], sender=seat, seen=seen, group=group, sealed=tuple(sealed))
    return msgspec.structs.replace(progress, keys=keys), message


def take_shares(progress: Progress, material: Material, messages: Sequence[Shares]) -> Step:
    """Open what the peers have entrusted to this site, and mask the vector against each of them."""
    shares, parts = {}, []
    for one in messages:
        masking, self_mask, part = _open_shares(progress, material, one)
        shares[one.sender] = PeerShares(masking, self_mask)
        parts.append(part)
    vector = compute_masked(progress, material, [one.sender for one in messages])
    message = Masked(plan=progress.seen[0], sender=progress.seat, seen=progress.last, vector=vector)
    return msgspec.structs.replace(progress, shares=shares, group=join_group(parts)), message


def take_masked(progress: Progress, _: Material, messages: Sequence[Masked]) -> Step:
    """Add the masked vectors up, and sign for whom."""
    length = progress.plan.length
    total = read_residues(messages[0].vector, length).copy()
    for one in messages[1:]:
        total += read_residues(one.vector, length)
    message = Survivors(plan=progress.seen[0], sender=progress.seat, seen=progress.last)
    return msgspec.structs.replace(progress, total=spell_residues(total)), message


def take_survivors(progress: Progress, _: Material, messages: Sequence[Survivors]) -> Step:
    """Reveal one share for each peer: of its self-mask if it is in the sum, else of its pair masks."""
    require(len(messages) >= progress.plan.threshold, Reason.TOO_FEW_SITES)
    survivors = progress.present[2]
    revealed = [
        shares.self_mask if peer in survivors else shares.masking
        for peer, shares in sorted(progress.shares.items())
    ]
    key = derive_group_key(progress.group, seen=progress.last, what="reveals", sender=progress.seat)
    sealed = seal_once(key, b"".join(revealed), seen=progress.last)
    message = Reveals(plan=progress.seen[0], sender=progress.seat, seen=progress.last, sealed=sealed)
    return progress, message


def take_reveals(progress: Progress, _: Material, messages: Sequence[Reveals]) -> Step:
    """Restore the secrets, take the masks off the sum, and sign it."""
    opened = {one.sender: _find_reveals(progress, one) for one in messages}
    revealed = {sender: shares for sender, shares in opened.items() if shares is not None}
    total = read_residues(progress.total, progress.plan.length).copy()
    for number, peer in enumerate(sorted(progress.shares)):
        _unmask(progress, total, peer, {sender: shares[number] for sender, shares in revealed.items()})
    spelled = spell_residues(total)
    message = Sums(
        plan=progress.seen[0],
        sender=progress.seat,
        seen=progress.last,
        total=_hash_total(progress, spelled),
    )
    return msgspec.structs.replace(progress, total=spelled), message


def take_sums(progress: Progress, _: Material, messages: Sequence[Sums]) -> Step:
    """Believe the sum once enough sites have come to it, and none to another."""
    own = [one.total for one in messages if one.sender == progress.seat]
    require(all(one.total == own[0] for one in messages), Reason.VIEWS_DIFFER, "sums")
    return msgspec.structs.replace(progress, is_final=True, shares={}, group=b""), None


def compute_masked(progress: Progress, material: Material, peers: Sequence[int]) -> bytes:
    """Compute what this site sends of its vector, masked against these peers."""
    vector = read_residues(progress.vector, progress.plan.length).copy()
    masks.add_mask(vector, masks.derive_self_key(material.self_mask, seen=progress.seen[1]))
    for peer in peers:
        if peer != progress.seat:
            key = _derive_pair_key(progress, material.masking, own=progress.seat, peer=peer)
            apply = masks.add_mask if progress.seat < peer else masks.subtract_mask
            apply(vector, key)
    return spell_residues(vector)


def _open_shares(progress: Progress, material: Material, message: Shares) -> tuple[bytes, bytes, bytes]:
    """Open one peer's shares for this site; its own it makes again."""
    plan, seat, sender, seen = progress.plan, progress.seat, message.sender, message.seen
    peers = list(progress.keys)
    member = plan.seats[sender].member
    require(len(message.sealed) == len(peers), Reason.MALFORMED, member)
    if sender == seat:
        own = material.split_secrets(threshold=plan.threshold, holders=len(plan.seats))
        return (*own[seat], material.group_part)
    channel = progress.keys[sender].channel
    key = material.derive_channel(channel, seen=seen, sender=sender, recipient=seat)
    opened = open_once(key, message.sealed[peers.index(seat)], seen=seen)
    require(len(opened) == 2 * SHARE_BYTES + _GROUP_PART_BYTES, Reason.MALFORMED, member)
    part = opened[2 * SHARE_BYTES :]
    require(hash_secret("group", part) == message.group, Reason.SHARES_DO_NOT_FIT, member)
    return opened[:SHARE_BYTES], opened[SHARE_BYTES : 2 * SHARE_BYTES], part


def _find_reveals(progress: Progress, message: Reveals) -> list[bytes] | None:
    """Open what one site reveals, or None if there is nothing to be made of it."""
    seen, count = message.seen, len(progress.shares)
    key = derive_group_key(progress.group, seen=seen, what="reveals", sender=message.sender)
    try:
        opened = open_once(key, message.sealed, seen=seen)
    except Refused:
        return None
    if len(opened) != count * SHARE_BYTES:
        return None
    return [opened[begin : begin + SHARE_BYTES] for begin in range(0, len(opened), SHARE_BYTES)]


def _unmask(progress: Progress, total: Residues, peer: int, shares: Mapping[int, bytes]) -> None:
    """Take off a survivor's self-mask, or what those who remained added against one who did not."""
    announced, survivors = progress.keys[peer], progress.present[2]
    is_survivor = peer in survivors

    def is_right(secret: bytes) -> bool:
        if is_survivor:
            return hash_secret("self-mask", secret) == announced.self_mask
        return agreement.derive_public_key(secret) == announced.masking

    secret = find_secret(shares, threshold=progress.plan.threshold, is_right=is_right)
    if secret is None:
        raise Refused(Reason.SHARES_DO_NOT_FIT, progress.plan.seats[peer].member)
    if is_survivor:
        masks.subtract_mask(total, masks.derive_self_key(secret, seen=progress.seen[1]))
        return
    for survivor in survivors:
        key = _derive_pair_key(progress, secret, own=peer, peer=survivor)
        undo = masks.subtract_mask if survivor < peer else masks.add_mask
        undo(total, key)


def _derive_pair_key(progress: Progress, private_key: bytes, *, own: int, peer: int) -> bytes:
    public_key = progress.keys[peer].masking
    return masks.derive_pair_key(private_key, public_key, seen=progress.seen[1], pair=(own, peer))


def _hash_total(progress: Progress, total: bytes) -> bytes:
    """Hash the sum under the group's key: without it nobody can try what the sum might be."""
    key = derive_group_key(progress.group, seen=progress.last, what="total")
    return hashlib.sha256(key + total).digest()
