"""A home on disk: the ledger's folder and one folder for each member that is served from here.

`genesis.json`, `ledger/` (the same everywhere), `members/<id>/{keys,vault,journal}`, and `served.json`,
which names them. A real node has one member; the demo has several.
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.engines.embedded.engine import EmbeddedEngine, read_clock_ms
from iamata.engines.keeping.storage import LEDGER_FILE
from iamata.ledger.entries import MemberKind, OwnerKind
from iamata.ledger.genesis import GENESIS_BYTES_MAX, Genesis, compute_network_id, read_genesis
from iamata.model.canonical import encode_struct
from iamata.model.ids import MemberId, PatientId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.node.announcing import AnnouncingEngine
from iamata.node.comet_engine import open_comet
from iamata.node.configuration import Comet, Configuration, Follower, read_configuration
from iamata.node.continued import refuse_continued
from iamata.node.desks import LocalDesk
from iamata.node.keyfiles import FOLDER_MODE, read_key, write_key, write_new
from iamata.node.peers import Peers, open_follower
from iamata.node.served import SERVED_FILE, write_served
from iamata.ports import KeptLedger
from iamata.stores.key_holders import LocalKeyHolder
from iamata.stores.sqlite.home import KEYS_FOLDER, open_member_stores
from iamata.stores.wallets import create_wallet, save_wallet
from iamata.vault.custody import Custody
from iamata.vault.shelf import Head
from iamata.wire.desk import Desk
from iamata.workflows.author import Author
from iamata.workflows.erasures import finish_erasures
from iamata.workflows.founding import FoundingMember, draw_founder, write_genesis
from iamata.workflows.late_posting import finish_late_emergencies
from iamata.workflows.office import Office
from iamata.workflows.wallets import Identity, add_identity

GENESIS_FILE: Final = "genesis.json"
LEDGER_FOLDER: Final = "ledger"
MEMBERS_FOLDER: Final = "members"
WALLETS_FOLDER: Final = "wallets"
ORDERER_KEY: Final = "orderer.key"
SIGNING_KEY: Final = "signing.key"
NEXT_KEY: Final = "signing.next.key"
"""The new signing key until the ledger knows it; asked again, a rotation cut short is finished."""
SEALING_KEY: Final = "sealing.key"
VAULT_KEY: Final = "vault.key"
GENESIS_MODE: Final = 0o644
"""Everybody may read it: it is what the members agreed on."""
MEMBERS_MAX: Final = 100

Founder = tuple[MemberId, str, MemberKind]
"""Who founds a network: its id, what it is called, and what it is."""


class Home:
    """An open home: its engine runs, and each member's office works."""

    def __init__(  # noqa: PLR0913  what it holds open
        self,
        path: Path,
        engine: KeptLedger,
        offices: dict[MemberId, Office],
        peers: Peers,
        *,
        clock: Callable[[], int] = read_clock_ms,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.path = path
        self.engine = engine
        self.offices = offices
        self.peers = peers
        self.clock = clock
        self.entropy = entropy

    def get_office(self, member: str) -> Office:
        """Return a member's office, or refuse."""
        office = self.offices.get(MemberId(member))
        if office is None:
            raise Refused(Reason.UNKNOWN_MEMBER, f"{member} is not served from this home")
        return office

    def has_desk(self, member: MemberId) -> bool:
        """Tell whether a member is served from this home."""
        return member in self.offices

    def get_desk(self, member: str) -> Desk:
        """Return a member's desk, here or at its node, or refuse."""
        office = self.offices.get(MemberId(member))
        return self.peers.get_desk(MemberId(member)) if office is None else LocalDesk(office)

    def find_in_emergency(self, custodian: MemberId, search: str) -> PatientId:
        """Find one patient at a custodian for a privileged person."""
        return self.get_desk(custodian).find_in_emergency(search)

    def author(self, key: SigningKey) -> Author:
        """Write with a key that is not a node's: a person's or a patient's."""
        return Author(self.engine, key, self.clock, self.entropy)

    def close(self) -> None:
        """Stop the engine and close the stores."""
        self.engine.close()
        self.peers.close()
        for office in self.offices.values():
            office.custody.close()


@dataclasses.dataclass(frozen=True, slots=True)
class Founding:
    """A network that was drawn and not yet written: its genesis, and every secret that it needs."""

    genesis: Genesis
    founders: tuple[FoundingMember, ...]
    orderer: bytes = dataclasses.field(repr=False)


def create_home(path: Path, name: str, members: Sequence[Founder]) -> Genesis:
    """Found a network in an empty folder: keys, genesis, one administrator's wallet for each member."""
    require_room(path)
    founding = draw_network(name, members)
    with removing_what_fails(path):
        write_home(path, founding, founding.founders, is_orderer=True)
    return founding.genesis


def draw_network(name: str, members: Sequence[Founder]) -> Founding:
    """Draw the keys of a network's founders, and write its genesis."""
    require(0 < len(members) <= MEMBERS_MAX, Reason.INPUT_INVALID, f"1 to {MEMBERS_MAX} members")
    founders = tuple(draw_founder(member, title, kind, os.urandom) for member, title, kind in members)
    orderer = os.urandom(SEED_BYTES)
    genesis = write_genesis(
        name, founders, orderer_seed=orderer, created_ms=read_clock_ms(), entropy=os.urandom
    )
    read_genesis(encode_struct(genesis))  # names become folders: none is made before all are checked
    return Founding(genesis=genesis, founders=founders, orderer=orderer)


def write_home(
    path: Path, founding: Founding, founders: Sequence[FoundingMember], *, is_orderer: bool
) -> None:
    """Write the home of some founders; the orderer's has the ledger and the key that signs it."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    (path / LEDGER_FOLDER).mkdir(mode=FOLDER_MODE)
    if is_orderer:
        write_key(path / LEDGER_FOLDER / ORDERER_KEY, founding.orderer)
    for founder in founders:
        _write_founder(path, founder, founding.genesis)
    if is_orderer:
        key = SigningKey.from_seed(founding.orderer)
        EmbeddedEngine(path / LEDGER_FOLDER, founding.genesis, orderer=key).close()
    write_served(path, [founder.member for founder in founders])
    # Last, so that a home is whole or none.
    write_new(path / GENESIS_FILE, encode_struct(founding.genesis), mode=GENESIS_MODE)


@contextlib.contextmanager
def open_home(
    path: Path, *, clock: Callable[[], int] = read_clock_ms, is_supervised: bool = False
) -> Iterator[Home]:
    """Open a home, finish what a crash or a restored backup left undone, and close it in the end.

    A validator's CometBFT is started when it is needed, unless something supervises it.
    """
    genesis, configuration = load_genesis(path), read_configuration(path)
    refuse_continued(path)
    peers = Peers(configuration, path, find_asking_key(path))
    ledger = open_ledger(path, genesis, configuration, clock, is_supervised=is_supervised)
    engine = AnnouncingEngine(ledger)
    home = Home(path, engine, {}, peers, clock=clock)
    try:
        for folder in list_member_folders(path):
            member = MemberId(folder.name)
            home.offices[member] = _open_office(folder, member, home.engine, clock)
        finish_erasures(*home.offices.values())
        finish_late_emergencies(*home.offices.values())
        yield home
    finally:
        home.close()


def open_ledger(
    path: Path,
    genesis: Genesis,
    configuration: Configuration,
    clock: Callable[[], int],
    *,
    is_supervised: bool,
) -> KeptLedger:
    """Open the engine that a home is configured to have."""
    if isinstance(configuration.engine, Follower):
        return open_follower(path / LEDGER_FOLDER, genesis, configuration, key=find_asking_key(path))
    if isinstance(configuration.engine, Comet):
        return open_comet(
            path,
            path / LEDGER_FOLDER,
            genesis,
            configuration.engine,
            clock=clock,
            is_supervised=is_supervised,
        )
    orderer = SigningKey.from_seed(read_key(path / LEDGER_FOLDER / ORDERER_KEY))
    ledger = path / LEDGER_FOLDER / LEDGER_FILE
    has_begun = ledger.is_file() and ledger.stat().st_size > 0
    # Or the orderer would begin again, and sign a second block 1.
    require(has_begun, Reason.HOME_CORRUPT, f"{LEDGER_FOLDER}/{LEDGER_FILE} is missing or empty")
    return EmbeddedEngine(path / LEDGER_FOLDER, genesis, orderer=orderer, clock=clock)


def find_asking_key(path: Path) -> SigningKey | None:
    """Return the key with which a home's one member asks other nodes; None where there are several."""
    folders = list_member_folders(path)
    if len(folders) != 1:
        return None
    return SigningKey.from_seed(read_key(folders[0] / KEYS_FOLDER / SIGNING_KEY))


def load_genesis(path: Path) -> Genesis:
    """Read a home's genesis."""
    try:
        with (path / GENESIS_FILE).open("rb") as file:
            return read_genesis(file.read(GENESIS_BYTES_MAX + 1))
    except (FileNotFoundError, NotADirectoryError) as error:
        is_half_made = (path / LEDGER_FOLDER).is_dir()
        hint = " was never founded to the end: remove it, and found it again" if is_half_made else ""
        raise Refused(Reason.HOME_NOT_FOUND, f"{path}{hint}") from error
    except OSError as error:
        raise Refused(Reason.HOME_CORRUPT, f"{GENESIS_FILE}: {error.strerror}") from error


def list_member_folders(path: Path) -> list[Path]:
    """List the folders of the members that a home serves, in order."""
    members = path / MEMBERS_FOLDER
    return sorted(folder for folder in members.iterdir() if folder.is_dir()) if members.is_dir() else []


def open_custody(folder: Path, member: MemberId) -> Custody:
    """Open a member's stores with the key that its vault key file holds."""
    holder = LocalKeyHolder(read_key(folder / KEYS_FOLDER / VAULT_KEY), member=member)
    return Custody(open_member_stores(folder), holder, member=member, entropy=os.urandom)


def set_up_stores(folder: Path, member: MemberId) -> None:
    """Make the stores, and a first head under the vault's key, so that another key is noticed at once."""
    with contextlib.closing(open_custody(folder, member)) as custody:
        if custody.journal.store.read_head() is None:
            custody.journal.store.write_head(custody.journal.encode_head(Head()))


def _open_office(folder: Path, member: MemberId, engine: KeptLedger, clock: Callable[[], int]) -> Office:
    keys = folder / KEYS_FOLDER
    author = Author(engine, SigningKey.from_seed(read_key(keys / SIGNING_KEY)), clock, os.urandom)
    return Office(
        author=author, custody=open_custody(folder, member), sealing_key=read_key(keys / SEALING_KEY)
    )


def _write_founder(path: Path, founder: FoundingMember, genesis: Genesis) -> None:
    keys = path / MEMBERS_FOLDER / founder.member / KEYS_FOLDER
    write_key(keys / SIGNING_KEY, founder.signing_seed)
    write_key(keys / SEALING_KEY, founder.sealing_seed)
    write_key(keys / VAULT_KEY, os.urandom(SEED_BYTES))
    set_up_stores(path / MEMBERS_FOLDER / founder.member, founder.member)
    folder = path / WALLETS_FOLDER / f"{founder.member}-administrator"
    identity = Identity(
        network=compute_network_id(genesis),
        kind=OwnerKind.PERSON,
        member=founder.member,
        id=founder.administrator,
        seed=encode_digest(founder.administrator_seed),
    )
    save_wallet(folder, add_identity(create_wallet(folder), identity))


def require_room(path: Path) -> None:
    """Refuse a folder in which there is something already."""
    require(not path.exists() or _is_empty_folder(path), Reason.HOME_ALREADY_EXISTS, str(path))


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextlib.contextmanager
def removing_what_fails(path: Path) -> Iterator[None]:
    """Leave nothing behind where founding fails; the folder was empty, so everything in it is ours."""
    try:
        yield
    except BaseException as failure:
        for part in (LEDGER_FOLDER, MEMBERS_FOLDER, WALLETS_FOLDER):
            shutil.rmtree(path / part, ignore_errors=True)
        for name in (GENESIS_FILE, SERVED_FILE):
            (path / name).unlink(missing_ok=True)
        if isinstance(failure, OSError):
            raise Refused(Reason.STORAGE_FULL, f"{path}: {failure.strerror}") from failure
        raise
