"""The first page of a ledger: who founds it, under which parameters, and who orders its blocks.

A genesis is a file of canonical JSON; the network's id is the file's SHA-256. One that continues another
ledger founds nothing: it names where that one stood, and who orders from there on.
"""

import hashlib
from typing import Annotated, ClassVar, Final

import msgspec

from iamata.crypto.ed25519 import check_public_key
from iamata.crypto.hpke import check_sealing_key
from iamata.ledger import tables
from iamata.ledger.entries import (
    Entry,
    KeyOwner,
    Member,
    MemberKind,
    MemberStatus,
    OwnerKind,
    Parameters,
    Person,
    Role,
    Roll,
    Validator,
    Validators,
)
from iamata.ledger.parameters import check_parameters
from iamata.ledger.rules import RULES
from iamata.ledger.transaction import Count, DisplayName, Statement
from iamata.ledger.validators import POWER_MAX
from iamata.model.canonical import encode_struct
from iamata.model.ids import (
    Commitment,
    Digest,
    KeyId,
    MemberId,
    NetworkId,
    PersonId,
    SealingKey,
    encode_digest,
)
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require

GENESIS_BYTES_MAX: Final = 1_048_576
FOUNDERS_MAX: Final = 100
AGREEMENT_LENGTH_MAX: Final = 1_024
ADMINISTRATORS_MAX: Final = 8


class FoundingPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An administrator whom a founder brings along, so that there is somebody to vote."""

    person: PersonId
    key: KeyId
    sign_in: Commitment


class Founder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member from the start."""

    member: MemberId
    name: DisplayName
    kind: MemberKind
    signing_key: KeyId
    sealing_key: SealingKey
    administrators: Annotated[
        tuple[FoundingPerson, ...], msgspec.Meta(min_length=1, max_length=ADMINISTRATORS_MAX)
    ]


class Predecessor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ledger that this one continues, and where it stood."""

    network: NetworkId
    height: Count
    app_hash: Digest


class Continuation(Statement):
    """A member agrees that the network it belongs to goes on under another genesis."""

    typ: ClassVar[str] = "iamata-continuation+jwt"

    charter: Digest
    """Of that genesis without the agreements."""


class Genesis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a ledger starts from."""

    name: DisplayName
    created_ms: Instant
    rules: int
    orderer: KeyId | msgspec.UnsetType = msgspec.UNSET
    """The key that signs block headers: on the embedded engine one signer orders, and says so."""
    validators: Annotated[tuple[Validator, ...], msgspec.Meta(max_length=FOUNDERS_MAX)] = ()
    """Instead: founders that order blocks together under CometBFT, one consensus key each."""
    founders: Annotated[tuple[Founder, ...], msgspec.Meta(max_length=FOUNDERS_MAX)] = ()
    """None where the network is continued: its members are those that it had."""
    parameters: Parameters | msgspec.UnsetType = msgspec.UNSET
    """None where the network is continued: those that it had go on."""
    continues: Predecessor | None = None
    agreements: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=AGREEMENT_LENGTH_MAX)], ...],
        msgspec.Meta(max_length=FOUNDERS_MAX),
    ] = ()
    """Statements of the predecessor's members, one a member, that the network goes on like this."""


def read_genesis(raw: bytes) -> Genesis:
    """Parse and check a genesis file, or refuse it."""
    require(len(raw) <= GENESIS_BYTES_MAX, Reason.TOO_LARGE)
    try:
        genesis = msgspec.json.decode(raw, type=Genesis)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(Reason.MALFORMED, "the genesis") from error
    require(encode_struct(genesis) == raw, Reason.NOT_CANONICAL, "the genesis")
    check_genesis(genesis)
    return genesis


def check_genesis(genesis: Genesis) -> None:
    """Refuse weak or repeated keys, repeated names and parameters out of range."""
    require(genesis.rules in RULES, Reason.UNKNOWN_TYPE, "these rules are not known here")
    check_beginning(genesis)
    check_validators(genesis)
    orderers = [genesis.orderer] if genesis.orderer is not msgspec.UNSET else []
    keys = [key for founder in genesis.founders for key in list_keys(founder)]
    keys += [one.key for one in genesis.validators]
    members = [founder.member for founder in genesis.founders]
    persons = [one.person for founder in genesis.founders for one in founder.administrators]
    for key in (*orderers, *keys):
        check_public_key(key)
    for founder in genesis.founders:
        check_sealing_key(founder.sealing_key)
    require(len(dict.fromkeys(keys)) == len(keys), Reason.KEY_ALREADY_USED, "the genesis")
    require(len(dict.fromkeys(members)) == len(members), Reason.MEMBER_ALREADY_EXISTS, "the genesis")
    require(len(dict.fromkeys(persons)) == len(persons), Reason.PERSON_ALREADY_EXISTS, "the genesis")


def check_beginning(genesis: Genesis) -> None:
    """Refuse unless a genesis either founds a network or continues one, and not half of each."""
    if genesis.continues is None:
        is_whole = bool(genesis.founders) and genesis.parameters is not msgspec.UNSET
        require(is_whole and not genesis.agreements, Reason.MALFORMED, "the genesis founds no network")
    else:
        is_bare = not genesis.founders and genesis.parameters is msgspec.UNSET
        require(is_bare, Reason.MALFORMED, "what continues a network founds nothing")
    if genesis.parameters is not msgspec.UNSET:
        check_parameters(genesis.parameters)


def check_validators(genesis: Genesis) -> None:
    """Refuse unless one signer orders, or else validators do: members, in order, each once."""
    is_one = genesis.orderer is not msgspec.UNSET
    require(is_one != bool(genesis.validators), Reason.MALFORMED, "one orderer, or else validators")
    members = [one.member for one in genesis.validators]
    founders = [founder.member for founder in genesis.founders]
    require(members == sorted(dict.fromkeys(members)), Reason.NOT_CANONICAL, "the validators")
    is_known = genesis.continues is not None or all(one in founders for one in members)
    require(is_known, Reason.UNKNOWN_MEMBER, "a validator is no founder")
    for one in genesis.validators:
        require(0 < one.power <= POWER_MAX, Reason.PARAMETER_OUT_OF_RANGE, "the weight of a validator")


def get_orderer(genesis: Genesis) -> KeyId:
    """Return the key of the one signer, or refuse where validators order."""
    if genesis.orderer is msgspec.UNSET:
        raise Refused(Reason.UNKNOWN_SIGNER, "validators order this ledger, and no one signer")
    return genesis.orderer


def compute_network_id(genesis: Genesis) -> NetworkId:
    """Compute the id that every transaction names."""
    return NetworkId(encode_digest(hashlib.sha256(encode_struct(genesis)).digest()))


def compute_charter(genesis: Genesis) -> Digest:
    """Compute what the members agree to: the digest of a genesis without their agreements."""
    bare = msgspec.structs.replace(genesis, agreements=())
    return Digest(encode_digest(hashlib.sha256(encode_struct(bare)).digest()))


def get_first_height(genesis: Genesis) -> int:
    """Return the height of the first block under a genesis: heights go on where a network does."""
    return 1 if genesis.continues is None else genesis.continues.height + 1


def compute_first_entries(genesis: Genesis) -> dict[bytes, bytes]:
    """Compute the map that the first block finds; of a continued network the genesis does not hold it."""
    if genesis.parameters is msgspec.UNSET:
        return {}
    entries: dict[bytes, Entry] = {
        tables.PARAMETERS.key(tables.CURRENT): genesis.parameters,
        tables.ROLLS.key(tables.CURRENT): Roll(
            active=tuple(sorted(one.member for one in genesis.founders))
        ),
    }
    for founder in genesis.founders:
        entries |= describe_founder(founder)
    if genesis.validators:
        entries[tables.VALIDATORS.key(tables.CURRENT)] = Validators(active=genesis.validators)
    for one in genesis.validators:
        entries[tables.KEYS.key(one.key)] = KeyOwner(kind=OwnerKind.VALIDATOR, owner=one.member)
    return {key: encode_struct(entry) for key, entry in entries.items()}


def list_keys(founder: Founder) -> list[KeyId]:
    """List the signing keys that a founder brings."""
    return [founder.signing_key, *(person.key for person in founder.administrators)]


def describe_founder(founder: Founder) -> dict[bytes, Entry]:
    """Write a founder, its administrators and all their keys as entries."""
    entries: dict[bytes, Entry] = {
        tables.MEMBERS.key(founder.member): Member(
            name=founder.name,
            kind=founder.kind,
            status=MemberStatus.ACTIVE,
            signing_key=founder.signing_key,
            sealing_key=founder.sealing_key,
        ),
        tables.KEYS.key(founder.signing_key): KeyOwner(kind=OwnerKind.MEMBER, owner=founder.member),
    }
    for one in founder.administrators:
        entries[tables.KEYS.key(one.key)] = KeyOwner(kind=OwnerKind.PERSON, owner=one.person)
        entries[tables.PERSONS.key(one.person)] = Person(
            member=founder.member, keys=(one.key,), roles=(Role.ADMINISTRATOR,), sign_in=one.sign_in
        )
    return entries
