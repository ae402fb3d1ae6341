"""What a wallet does at a home or a node of a custodian: enrol, grant, narrow, withdraw, ask who looked."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from iamata.consent.terms import Terms
from iamata.crypto.ed25519 import SEED_BYTES
from iamata.ledger.entries import OwnerKind, Role
from iamata.ledger.envelope import read_statement
from iamata.ledger.tables import CONSENTS
from iamata.ledger.transactions.consents import RestrictConsent, WithdrawConsent
from iamata.ledger.transactions.persons import RegisterPerson
from iamata.model.ids import ConsentId, MemberId, Nonce, PatientId, PersonId, encode_digest
from iamata.model.instants import MS_PER_MINUTE, Day, Instant, compute_day, format_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.places import Place
from iamata.stores.wallets import WALLET_FILE, create_wallet, load_wallet, save_wallet
from iamata.workflows import accesses, enrolments, wallets
from iamata.workflows.accesses import CheckedAccess
from iamata.workflows.author import Author
from iamata.workflows.enrolments import EnrolmentCode
from iamata.workflows.messages import AccessListRequest
from iamata.workflows.siblings import compute_common_last_day
from iamata.workflows.wallets import Identity, KeptTerms, Wallet

_UNDECIDED: Final = (
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


def sign_as(place: Place, wallet: Wallet, member: str) -> tuple[Identity, Author]:
    """Return who a wallet is to a member, and the author that signs for it."""
    identity = wallets.find_identity(wallet, member=MemberId(member), network=place.engine.network)
    return identity, place.author(wallets.get_key(identity))


def admit_person(home: Home, folder: Path, *, member: str, roles: tuple[Role, ...]) -> Identity:
    """Register a person; the key is made in the wallet, and kept before the ledger hears of it."""
    office, wallet = home.get_office(member), open_or_create(folder)
    identity = draw_identity(home, member, OwnerKind.PERSON, office.author.make_id())
    person = home.author(wallets.get_key(identity))
    with keeping(folder, wallets.add_identity(wallet, identity), instead_of=wallet):
        office.author.submit(
            RegisterPerson,
            person=PersonId(identity.id),
            possession=person.prove_possession(OwnerKind.PERSON, identity.id, member=identity.member),
            roles=roles,
            sign_in=wallets.draw_sign_in(person, identity.id),
        )
    return identity


def enrol_patient(home: Home, folder: Path, *, member: str, patient: PatientId) -> Identity:
    """Put a patient's own key in place: enrol, or take over from the custodian who held one."""
    office, wallet = home.get_office(member), open_or_create(folder)
    identity = draw_identity(home, member, OwnerKind.PATIENT, patient)
    possession = home.author(wallets.get_key(identity)).prove_possession(
        OwnerKind.PATIENT, patient, member=office.member
    )
    with keeping(folder, wallets.add_identity(wallet, identity), instead_of=wallet):
        enrolments.enrol_patient(office, patient, possession)
    return identity


def enrol_with_code(place: Place, folder: Path, code: str) -> Identity:
    """Put a patient's own key in place with the code that the custodian handed over."""
    wallet, invited = open_or_create(folder), read_enrolment_code(code)
    require(invited.network == place.engine.network, Reason.FOREIGN_NETWORK)
    identity = draw_identity(place, invited.member, OwnerKind.PATIENT, invited.patient)
    possession = place.author(wallets.get_key(identity)).prove_possession(
        OwnerKind.PATIENT, invited.patient, member=invited.member
    )
    with keeping(folder, wallets.add_identity(wallet, identity), instead_of=wallet):
        place.get_desk(invited.member).accept_enrolment(code, possession)
    return identity


def read_enrolment_code(code: str) -> EnrolmentCode:
    """Read what a code says: which network, member and patient it is for. The member checks the rest."""
    invited: EnrolmentCode = read_statement(code.strip(), EnrolmentCode).payload
    return invited


def grant(  # noqa: PLR0913  a grant's own fields
    place: Place, folder: Path, *, member: str, terms: Terms, until_day: Day, replaces: str | None = None
) -> ConsentId:
    """Sign terms, hand them to the custodian, and await that it is bound to them."""
    wallet = load_wallet(folder)
    identity, author = sign_as(place, wallet, member)
    today = compute_day(author.clock())
    common_day = compute_common_last_day(today)
    require(until_day >= today, Reason.CONSENT_ALREADY_EXPIRED, format_day(until_day))
    require(
        until_day <= common_day,
        Reason.INPUT_INVALID,
        f"a consent lasts until {format_day(common_day)} at most",
    )
    salted, consent = wallets.salt_terms(terms, author), ConsentId(author.make_id())
    signed = wallets.sign_grant(
        author,
        salted,
        consent=consent,
        patient=PatientId(identity.id),
        custodian=identity.member,
        until_day=common_day,  # the patient's own choice stands in the terms, which the ledger does not see
        replaces=None if replaces is None else ConsentId(replaces),
    )
    kept = KeptTerms(
        consent=consent, patient=PatientId(identity.id), terms=terms, salt=salted.salt, until_day=common_day
    )
    with keeping(folder, wallets.keep_terms(wallet, kept), instead_of=wallet):
        place.get_desk(member).accept_grant(signed.text, salted)
    return consent


def restrict(place: Place, folder: Path, *, consent: ConsentId, terms: Terms) -> None:
    """Narrow a consent with the patient's signature alone, then hand the custodian the opening."""
    wallet = load_wallet(folder)
    member, author = find_custodian(place, wallet, consent)
    salted = wallets.salt_terms(terms, author)
    kept = next(one for one in wallet.kept if one.consent == consent)
    narrowed = KeptTerms(
        consent=consent,
        patient=kept.patient,
        terms=terms,
        salt=salted.salt,
        until_day=kept.until_day,
        narrows=True,
    )
    with keeping(folder, wallets.keep_terms(wallet, narrowed), instead_of=wallet):
        author.submit(RestrictConsent, consent=consent, terms=salted.commit())
    place.get_desk(member).accept_restriction(kept.patient, salted)


def withdraw(place: Place, folder: Path, *, consent: ConsentId) -> None:
    """Withdraw a consent with the patient's signature alone."""
    _, author = find_custodian(place, load_wallet(folder), consent)
    author.submit(WithdrawConsent, consent=consent)


def share(place: Place, folder: Path, *, member: str, recipient: str, minutes: int) -> str:
    """Write a share code for one recipient."""
    identity, author = sign_as(place, load_wallet(folder), member)
    return wallets.write_share_code(
        author,
        custodian=identity.member,
        patient=PatientId(identity.id),
        recipient=MemberId(recipient),
        until_ms=author.clock() + minutes * MS_PER_MINUTE,
    )


def list_accesses(place: Place, folder: Path) -> Iterator[CheckedAccess]:
    """Ask every custodian who looked; the list is joined here, in the patient's own wallet alone."""
    height = place.engine.snapshot().height
    for identity in load_wallet(folder).identities:
        if identity.kind is OwnerKind.PATIENT and place.has_desk(identity.member):
            author = place.author(wallets.get_key(identity))
            asked = author.state(
                AccessListRequest,
                custodian=identity.member,
                patient=PatientId(identity.id),
                nonce=Nonce(author.make_id()),
                expires_ms=Instant(author.clock() + MS_PER_MINUTE),
            )
            proofs = place.get_desk(identity.member).list_accesses(asked.text)
            yield from accesses.check_accesses(
                proofs,
                place.engine.genesis,
                custodian=identity.member,
                patient=PatientId(identity.id),
                disclosed=accesses.list_disclosed(place.engine, PatientId(identity.id)),
                height_min=height,
            )


@contextlib.contextmanager
def keeping(folder: Path, wallet: Wallet, *, instead_of: Wallet) -> Iterator[None]:
    """Save a wallet before the ledger hears of what is new in it; a refusal there takes it back."""
    save_wallet(folder, wallet)
    try:
        yield
    except Refused as refused:
        if refused.reason not in _UNDECIDED:
            save_wallet(folder, instead_of)
        raise


def find_custodian(place: Place, wallet: Wallet, consent: ConsentId) -> tuple[MemberId, Author]:
    """Return the custodian of a consent, and the author that signs for its patient."""
    entry = CONSENTS.find(place.engine.snapshot(), consent)
    if entry is None or not any(one.consent == consent for one in wallet.kept):
        raise Refused(Reason.UNKNOWN_CONSENT, consent)
    return entry.custodian, sign_as(place, wallet, entry.custodian)[1]


def draw_identity(place: Place, member: str, kind: OwnerKind, owner: str) -> Identity:
    """Draw a new key for one member."""
    return Identity(
        network=place.engine.network,
        kind=kind,
        member=MemberId(member),
        id=owner,
        seed=encode_digest(os.urandom(SEED_BYTES)),
    )
