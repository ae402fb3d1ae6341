"""A wallet: what a patient, or a person of a member's staff, holds and signs with.

One identity for each custodian, with a key that no other custodian sees. A wallet never leaves its owner;
what it hands out are signed statements, signed transactions and share codes.
"""

from typing import Annotated, Final

import msgspec

from iamata.consent.terms import Terms
from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.crypto.ed25519 import SigningKey
from iamata.ledger.entries import OwnerKind
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.consents import Grant
from iamata.model.canonical import encode_struct
from iamata.model.ids import (
    DIGEST_BYTES,
    Commitment,
    ConsentId,
    DigestText,
    MemberId,
    NetworkId,
    Nonce,
    PatientId,
    decode_digest,
    encode_digest,
)
from iamata.model.instants import Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused, require
from iamata.vault.policies import TERMS
from iamata.workflows.author import Author
from iamata.workflows.messages import ShareCode

IDENTITIES_MAX: Final = 1_000
CONSENTS_MAX: Final = 10_000
SUBMIT_DAYS: Final = 2
"""How long a custodian may take to post a grant: its siblings wait up to the end of the next day."""
SIGN_IN: Final = "sign-in"
"""Kind of the commitment to how a person signs in."""


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who one is to one member: a pseudonym with its own key."""

    network: NetworkId
    kind: OwnerKind
    member: MemberId
    id: str
    seed: DigestText

    def __repr__(self) -> str:
        return f"Identity({self.kind}/{self.id} at {self.member})"


class KeptTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms that one has signed, with the salt that opens their commitment."""

    consent: ConsentId
    patient: PatientId
    terms: Terms
    salt: DigestText
    until_day: Day
    narrows: bool = False
    """These terms restrict a consent that was given before."""

    def __repr__(self) -> str:
        return f"KeptTerms({self.consent})"


class Wallet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that its owner holds."""

    identities: Annotated[tuple[Identity, ...], msgspec.Meta(max_length=IDENTITIES_MAX)] = ()
    kept: Annotated[tuple[KeptTerms, ...], msgspec.Meta(max_length=CONSENTS_MAX)] = ()


class SaltedTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms and their salt, as the patient hands them to the custodian."""

    terms: Terms
    salt: DigestText

    def commit(self) -> Commitment:
        """Compute the commitment that the ledger holds."""
        return commit(TERMS, decode_digest(self.salt), encode_struct(self.terms))

    def __repr__(self) -> str:
        return "SaltedTerms()"


def find_identity(wallet: Wallet, *, member: MemberId, network: NetworkId) -> Identity:
    """Return who one is to a member, or refuse."""
    for identity in wallet.identities:
        if identity.member == member and identity.network == network:
            return identity
    raise Refused(Reason.WALLET_NOT_FOUND, f"this wallet is not known to {member}")


def add_identity(wallet: Wallet, identity: Identity) -> Wallet:
    """Return the wallet with one more identity; one is enough for each member."""
    is_known = any(
        (one.member, one.network) == (identity.member, identity.network) for one in wallet.identities
    )
    require(not is_known, Reason.WALLET_ALREADY_EXISTS, f"known to {identity.member}")
    require(len(wallet.identities) < IDENTITIES_MAX, Reason.TOO_LARGE)
    return msgspec.structs.replace(wallet, identities=(*wallet.identities, identity))


def follow(wallet: Wallet, *, before: NetworkId, after: NetworkId) -> Wallet:
    """Return the wallet where a network that it knows goes on under another id: its keys are the same."""
    identities = tuple(
        msgspec.structs.replace(one, network=after) if one.network == before else one
        for one in wallet.identities
    )
    return msgspec.structs.replace(wallet, identities=identities)


def keep_terms(wallet: Wallet, kept: KeptTerms) -> Wallet:
    """Return the wallet with terms that were just signed."""
    require(len(wallet.kept) < CONSENTS_MAX, Reason.TOO_LARGE)
    return msgspec.structs.replace(wallet, kept=(*wallet.kept, kept))


def get_key(identity: Identity) -> SigningKey:
    """Expand an identity's key."""
    return SigningKey.from_seed(decode_digest(identity.seed))


def salt_terms(terms: Terms, author: Author) -> SaltedTerms:
    """Draw the salt that hides terms behind their commitment."""
    return SaltedTerms(terms=terms, salt=encode_digest(author.entropy(DIGEST_BYTES)))


def sign_grant(  # noqa: PLR0913  a grant's own fields
    author: Author,
    salted: SaltedTerms,
    *,
    consent: ConsentId,
    patient: PatientId,
    custodian: MemberId,
    until_day: Day,
    replaces: ConsentId | None = None,
) -> Signed[Grant]:
    """Sign a grant of terms, for its custodian to countersign and submit."""
    return author.state(
        Grant,
        consent=consent,
        patient=patient,
        custodian=custodian,
        terms=salted.commit(),
        until_day=until_day,
        submit_until_day=Day(compute_day(author.clock()) + SUBMIT_DAYS),
        replaces=msgspec.UNSET if replaces is None else replaces,
    )


def write_share_code(
    author: Author, *, custodian: MemberId, patient: PatientId, recipient: MemberId, until_ms: int
) -> str:
    """Write the code that lets one recipient ask one custodian for one patient's records, once."""
    signed = author.state(
        ShareCode,
        custodian=custodian,
        patient=patient,
        recipient=recipient,
        nonce=Nonce(author.make_id()),
        until_ms=Instant(until_ms),
    )
    return signed.text


def draw_sign_in(author: Author, subject: str) -> Commitment:
    """Commit to the issuer and subject with which a person signs in, under a fresh salt."""
    return commit(SIGN_IN, author.entropy(SALT_BYTES), subject.encode("utf-8"))
