"""Who a wallet is to whom at a place, and how it keeps what is new before the ledger hears of it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from iamata.crypto.ed25519 import SEED_BYTES
from iamata.ledger.entries import OwnerKind
from iamata.model.ids import MemberId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.node.places import Place
from iamata.stores.wallets import WALLET_FILE, create_wallet, load_wallet, save_wallet
from iamata.workflows import wallets
from iamata.workflows.author import Author
from iamata.workflows.wallets import Identity, Wallet

UNDECIDED: Final = (
    Reason.TOO_BUSY,
    Reason.ENGINE_STOPPED,
    Reason.NODE_UNREACHABLE,
    Reason.NODE_FAULT,
    Reason.TOO_SLOW,
)
"""Refusals after which the ledger may have the transaction, or get it yet."""


def open_or_create(folder: Path) -> Wallet:
    """Load a wallet, or make one where there is none."""
    return load_wallet(folder) if (folder / WALLET_FILE).exists() else create_wallet(folder)


def get_only_member(place: Place, wallet: Wallet, *, kind: OwnerKind) -> MemberId:
    """Return the only member that knows a wallet as a person's or a patient's, or refuse."""
    network = place.engine.network
    known = [one.member for one in wallet.identities if (one.network, one.kind) == (network, kind)]
    known = [one for one in known if place.has_desk(one)] or known
    require(bool(known), Reason.WALLET_NOT_FOUND, f"no member knows it as a {kind}'s")
    require(len(known) == 1, Reason.INPUT_INVALID, f"say which member: {', '.join(known)}")
    return known[0]


def sign_as(place: Place, wallet: Wallet, member: str) -> tuple[Identity, Author]:
    """Return who a wallet is to a member, and the author that signs for it."""
    identity = wallets.find_identity(wallet, member=MemberId(member), network=place.engine.network)
    return identity, place.author(wallets.get_key(identity))


def draw_identity(place: Place, member: str, kind: OwnerKind, owner: str) -> Identity:
    """Draw a new key for one member."""
    return Identity(
        network=place.engine.network,
        kind=kind,
        member=MemberId(member),
        id=owner,
        seed=encode_digest(place.entropy(SEED_BYTES)),
    )


@contextlib.contextmanager
def keeping(folder: Path, wallet: Wallet, *, instead_of: Wallet) -> Iterator[None]:
    """Save a wallet before the ledger hears of what is new in it; a refusal there takes it back."""
    save_wallet(folder, wallet)
    try:
        yield
    except Refused as refused:
        if refused.reason not in UNDECIDED:
            save_wallet(folder, instead_of)
        raise
