"""How an organisation comes to a network, and how its node changes the key it signs with."""

import contextlib
import os
import shutil
from pathlib import Path

import msgspec

from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.crypto.hpke import derive_sealing_key
from iamata.ledger.entries import MemberKind, OwnerKind
from iamata.ledger.tables import MEMBERS
from iamata.ledger.transactions.members import Application, ApplyAsMember, InviteMember, RotateSigningKey
from iamata.model.canonical import encode_struct
from iamata.model.ids import (
    DigestText,
    InvitationId,
    KeyId,
    MemberId,
    NetworkId,
    decode_digest,
    encode_digest,
)
from iamata.model.instants import Day, compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import (
    MEMBERS_FOLDER,
    NEXT_KEY,
    SEALING_KEY,
    SIGNING_KEY,
    VAULT_KEY,
    Home,
    set_up_stores,
)
from iamata.node.keyfiles import KEY_MODE, read_key, write_key, write_new
from iamata.node.served import read_served, write_served
from iamata.stores.sqlite.home import KEYS_FOLDER

INVITATION_BYTES_MAX = 4_096


class InvitationFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an invited organisation is handed: the key that takes the place."""

    network: NetworkId
    invitation: InvitationId
    member: MemberId
    seed: DigestText

    def __repr__(self) -> str:
        return f"InvitationFile({self.member})"


def invite(  # noqa: PLR0913  an invitation's own fields
    home: Home, *, member: str, invited: MemberId, name: str, kind: MemberKind, days: int, to: Path
) -> InvitationId:
    """Offer a place; the file is durable before the ledger hears of the key in it."""
    author = home.get_office(member).author
    invitation, seed = InvitationId(author.make_id()), os.urandom(SEED_BYTES)
    offer = InvitationFile(
        network=home.engine.network, invitation=invitation, member=invited, seed=encode_digest(seed)
    )
    write_new(to, encode_struct(offer), mode=KEY_MODE)
    try:
        author.submit(
            InviteMember,
            invitation=invitation,
            key=SigningKey.from_seed(seed).key_id,
            member=invited,
            name=name,
            kind=kind,
            until_day=Day(compute_day(author.clock()) + days),
        )
    except Refused:
        to.unlink()
        raise
    return invitation


def apply(home: Home, path: Path) -> MemberId:
    """Take a place that was offered, with keys made here; asked again after a crash, with the same ones."""
    offer = _read_invitation(path)
    require(offer.network == home.engine.network, Reason.FOREIGN_NETWORK)
    folder = home.path / MEMBERS_FOLDER / offer.member
    is_new = not folder.exists()
    for name in (SIGNING_KEY, SEALING_KEY, VAULT_KEY):
        if not (folder / KEYS_FOLDER / name).exists():
            write_key(folder / KEYS_FOLDER / name, os.urandom(SEED_BYTES))
    if is_new:
        set_up_stores(folder, offer.member)
    served = read_served(home.path)
    if offer.member not in served:
        write_served(home.path, [*served, offer.member])
    author = home.author(SigningKey.from_seed(read_key(folder / KEYS_FOLDER / SIGNING_KEY)))
    application = home.author(SigningKey.from_seed(decode_digest(offer.seed))).state(
        Application,
        invitation=offer.invitation,
        signing_key=author.key.key_id,
        sealing_key=derive_sealing_key(read_key(folder / KEYS_FOLDER / SEALING_KEY)),
    )
    try:
        author.submit(ApplyAsMember, application=application)
    except Refused:
        if is_new:
            shutil.rmtree(folder)
            write_served(home.path, [one for one in served if one != offer.member])
        raise
    return offer.member


def rotate_signing_key(home: Home, *, member: str) -> KeyId:
    """Replace a node's signing key on the ledger, and then on disk."""
    office = home.get_office(member)
    keys = home.path / MEMBERS_FOLDER / office.member / KEYS_FOLDER
    if not (keys / NEXT_KEY).exists():
        write_key(keys / NEXT_KEY, os.urandom(SEED_BYTES))
    fresh = home.author(SigningKey.from_seed(read_key(keys / NEXT_KEY)))
    entry = MEMBERS.find(office.take_view(), office.member)
    if entry is None or entry.signing_key != fresh.key.key_id:
        possession = fresh.prove_possession(OwnerKind.MEMBER, office.member, member=MemberId(office.member))
        office.author.submit(RotateSigningKey, possession=possession)
    (keys / NEXT_KEY).replace(keys / SIGNING_KEY)
    return fresh.key.key_id


def _read_invitation(path: Path) -> InvitationFile:
    try:
        with path.open("rb") as file:
            raw = file.read(INVITATION_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    with contextlib.suppress(ValueError, RecursionError):
        if len(raw) <= INVITATION_BYTES_MAX:
            return msgspec.json.decode(raw, type=InvitationFile)
    raise Refused(Reason.INPUT_INVALID, f"{path} is no invitation")
