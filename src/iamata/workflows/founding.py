"""Found a network: make the founders' keys and the genesis that names them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

from iamata.crypto.commitments import commit
from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.hpke import derive_sealing_key
from iamata.ledger.entries import MemberKind
from iamata.ledger.genesis import Founder, FoundingPerson, Genesis, check_genesis
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.rules import NEWEST
from iamata.model.ids import DIGEST_BYTES, RANDOM_ID_BYTES, MemberId, PersonId, compute_random_id
from iamata.model.instants import Instant

SIGN_IN: Final = "sign-in"
"""Kind of the commitment to the issuer and subject with which a person signs in."""


@dataclasses.dataclass(frozen=True, slots=True)
class FoundingMember:
    """An organisation that founds, with the secrets that its node will keep."""

    member: MemberId
    name: str
    kind: MemberKind
    signing_seed: bytes = dataclasses.field(repr=False)
    sealing_seed: bytes = dataclasses.field(repr=False)
    administrator: PersonId
    administrator_seed: bytes = dataclasses.field(repr=False)


def draw_founder(
    member: MemberId, name: str, kind: MemberKind, entropy: Callable[[int], bytes]
) -> FoundingMember:
    """Draw the keys of a founder and of its first administrator."""
    return FoundingMember(
        member=member,
        name=name,
        kind=kind,
        signing_seed=entropy(DIGEST_BYTES),
        sealing_seed=entropy(DIGEST_BYTES),
        administrator=PersonId(compute_random_id(entropy(RANDOM_ID_BYTES))),
        administrator_seed=entropy(DIGEST_BYTES),
    )


def write_genesis(
    name: str,
    founders: Sequence[FoundingMember],
    *,
    orderer_seed: bytes,
    created_ms: int,
    entropy: Callable[[int], bytes],
) -> Genesis:
    """Write the genesis of a network whose blocks one key orders."""
    genesis = Genesis(
        name=name,
        created_ms=Instant(created_ms),
        rules=NEWEST,
        orderer=SigningKey.from_seed(orderer_seed).key_id,
        founders=tuple(_describe(founder, entropy) for founder in founders),
        parameters=DEFAULT_PARAMETERS,
    )
    check_genesis(genesis)
    return genesis


def _describe(founder: FoundingMember, entropy: Callable[[int], bytes]) -> Founder:
    account = f"{founder.member}/administrator".encode("ascii")
    return Founder(
        member=founder.member,
        name=founder.name,
        kind=founder.kind,
        signing_key=SigningKey.from_seed(founder.signing_seed).key_id,
        sealing_key=derive_sealing_key(founder.sealing_seed),
        administrators=(
            FoundingPerson(
                person=founder.administrator,
                key=SigningKey.from_seed(founder.administrator_seed).key_id,
                sign_in=commit(SIGN_IN, entropy(DIGEST_BYTES), account),
            ),
        ),
    )
