"""How an organisation comes to a network, and how its node changes the key it signs with."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.crypto.hpke import derive_sealing_key
from iamata.engines.embedded.engine import read_clock_ms
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
from iamata.node.configuration import read_configuration
from iamata.node.home import (
    MEMBERS_FOLDER,
    NEXT_KEY,
    SEALING_KEY,
    SIGNING_KEY,
    VAULT_KEY,
    Home,
    load_genesis,
    open_home,
    set_up_stores,
)
from iamata.node.keyfiles import KEY_MODE, read_key, write_key, write_new
from iamata.node.peers import find_authorities
from iamata.node.running import find_node, spell_url
from iamata.node.served import read_served, write_served
from iamata.ports import Engine
from iamata.stores.sqlite.home import KEYS_FOLDER
from iamata.workflows.author import Author

INVITATION_BYTES_MAX = 4_096


class InvitationFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an invited organisation is handed: the key that takes the place."""

    network: NetworkId
    invitation: InvitationId
    member: MemberId
    seed: DigestText

    def __repr__(self) -> str:
        return f"InvitationFile({self.member})"


@contextlib.contextmanager
def speaking_for(path: Path, member: str) -> Iterator[Author]:
    """Write as a member whose home this is: at its node where that runs, else with the home opened here."""
    info = find_node(path)
    if info is None or info.member != member:
        with open_home(path) as home:
            yield home.get_office(member).author
        return
    key = SigningKey.from_seed(read_key(path / MEMBERS_FOLDER / member / KEYS_FOLDER / SIGNING_KEY))
    configuration = read_configuration(path)
    authorities = find_authorities(configuration, path)
    connection = Connection(spell_url(configuration), key=key, authorities=authorities)
    with contextlib.closing(RemoteEngine(connection, load_genesis(path))) as engine:
        yield Author(engine, key, read_clock_ms, os.urandom)


def invite(  # noqa: PLR0913  an invitation's own fields
    author: Author, *, invited: MemberId, name: str, kind: MemberKind, days: int, to: Path
) -> InvitationId:
    """Offer a place; the file is durable before the ledger hears of the key in it."""
    invitation, seed = InvitationId(author.make_id()), os.urandom(SEED_BYTES)
    offer = InvitationFile(
        network=author.engine.network, invitation=invitation, member=invited, seed=encode_digest(seed)
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
    offer = read_invitation(path)
    require(offer.network == home.engine.network, Reason.FOREIGN_NETWORK)
    folder = home.path / MEMBERS_FOLDER / offer.member
    is_new = not folder.exists()
    draw_keys(folder, offer.member)
    served = read_served(home.path)
    if offer.member not in served:
        write_served(home.path, [*served, offer.member])
    try:
        submit_application(home.engine, offer, folder, clock=home.clock)
    except Refused:
        if is_new:
            shutil.rmtree(folder)
            write_served(home.path, [one for one in served if one != offer.member])
        raise
    return offer.member


def draw_keys(folder: Path, member: MemberId) -> None:
    """Make a new member's keys and stores; what an attempt before has made stays."""
    is_new = not folder.exists()
    for name in (SIGNING_KEY, SEALING_KEY, VAULT_KEY):
        if not (folder / KEYS_FOLDER / name).exists():
            write_key(folder / KEYS_FOLDER / name, os.urandom(SEED_BYTES))
    if is_new:
        set_up_stores(folder, member)


def submit_application(
    engine: Engine, offer: InvitationFile, folder: Path, *, clock: Callable[[], int]
) -> None:
    """Show the ledger a new member's keys, which lie in its folder."""
    key = SigningKey.from_seed(read_key(folder / KEYS_FOLDER / SIGNING_KEY))
    invited = SigningKey.from_seed(decode_digest(offer.seed))
    application = Author(engine, invited, clock, os.urandom).state(
        Application,
        invitation=offer.invitation,
        signing_key=key.key_id,
        sealing_key=derive_sealing_key(read_key(folder / KEYS_FOLDER / SEALING_KEY)),
    )
    Author(engine, key, clock, os.urandom).submit(ApplyAsMember, application=application)


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


def read_invitation(path: Path) -> InvitationFile:
    """Read what an invited organisation was handed, or refuse it."""
    try:
        with path.open("rb") as file:
            raw = file.read(INVITATION_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    with contextlib.suppress(ValueError, RecursionError):
        if len(raw) <= INVITATION_BYTES_MAX:
            return msgspec.json.decode(raw, type=InvitationFile)
    raise Refused(Reason.INPUT_INVALID, f"{path} is no invitation")
