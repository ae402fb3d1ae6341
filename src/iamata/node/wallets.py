"""What a wallet does at a home of its custodians: enrol, grant, narrow, withdraw, ask who looked.

What widens goes through the outbox, and may wait there. What narrows goes at once.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from iamata.consent.terms import Terms
from iamata.ledger.entries import OwnerKind, Role
from iamata.ledger.tables import CONSENTS, PATIENTS
from iamata.ledger.transactions.consents import RestrictConsent, WithdrawConsent
from iamata.ledger.transactions.persons import RegisterPerson
from iamata.model.ids import ConsentId, MemberId, Nonce, PatientId, PersonId
from iamata.model.instants import MS_PER_MINUTE, Day, Instant, compute_day, format_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.identities import draw_identity, keeping, open_or_create, sign_as
from iamata.node.outbox import call_off, decide, note_sent, settle
from iamata.stores.outboxes import load_outbox
from iamata.stores.wallets import load_wallet
from iamata.workflows import accesses, consents, wallets
from iamata.workflows.accesses import CheckedAccess
from iamata.workflows.author import Author
from iamata.workflows.messages import AccessListRequest
from iamata.workflows.outbox import EnrolAct, GrantAct, LiftAct, find_grant
from iamata.workflows.siblings import compute_common_last_day
from iamata.workflows.wallets import Identity, KeptTerms


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


def prepare_enrolment(home: Home, folder: Path, *, member: str, patient: PatientId) -> EnrolAct:
    """Draw a patient's own key for a custodian that has none of theirs, to be decided on."""
    office, wallet = home.get_office(member), open_or_create(folder)
    identity = draw_identity(home, member, OwnerKind.PATIENT, patient)
    wallets.add_identity(wallet, identity)  # or refuse: one is enough for each member
    waits = [one.act.identity for one in load_outbox(folder).waiting if isinstance(one.act, EnrolAct)]
    is_first = (identity.network, identity.member) not in [(one.network, one.member) for one in waits]
    require(is_first, Reason.WALLET_ALREADY_EXISTS, f"your key for {member} waits in the outbox")
    known = PATIENTS.find(office.take_view(), patient)
    is_free = known is None or known.is_custodial
    require(is_free, Reason.PATIENT_ALREADY_EXISTS, "the patient holds a key already")
    return EnrolAct(identity=identity)


def prepare_grant(  # noqa: PLR0913  a grant's own fields
    home: Home, folder: Path, *, member: str, terms: Terms, until_day: Day, replaces: str | None = None
) -> GrantAct:
    """Salt terms and name the consent, to be decided on."""
    _, author = sign_as(home, load_wallet(folder), member)
    home.get_office(member)
    today = compute_day(author.clock())
    require(until_day >= today, Reason.CONSENT_ALREADY_EXPIRED, format_day(until_day))
    latest = compute_common_last_day(today)
    detail = f"a consent lasts until {format_day(latest)} at most"
    require(until_day <= latest, Reason.INPUT_INVALID, detail)
    return GrantAct(
        consent=ConsentId(author.make_id()),
        terms=terms,
        salt=wallets.salt_terms(terms, author).salt,
        last_day=until_day,
        replaces=msgspec.UNSET if replaces is None else ConsentId(replaces),
    )


def prepare_grants(  # noqa: PLR0913  a grant's own fields
    home: Home,
    folder: Path,
    *,
    members: tuple[MemberId, ...],
    terms: Terms,
    until_day: Day,
    replaces: str | None = None,
) -> list[tuple[MemberId, GrantAct]]:
    """Salt the same terms for several custodians, each in its own way, to be decided on."""
    is_one = replaces is None or len(members) == 1
    require(is_one, Reason.INPUT_INVALID, "a consent is replaced at its own custodian alone")
    return [
        (
            member,
            prepare_grant(home, folder, member=member, terms=terms, until_day=until_day, replaces=replaces),
        )
        for member in members
    ]


def enrol_patient(home: Home, folder: Path, *, member: str, patient: PatientId) -> Identity:
    """Put a patient's own key in place now: enrol, or take over from the custodian who held one."""
    act = prepare_enrolment(home, folder, member=member, patient=patient)
    settle(decide(home, folder, [(act.identity.member, act)], is_now=True))
    return act.identity


def grant(  # noqa: PLR0913  a grant's own fields
    home: Home, folder: Path, *, member: str, terms: Terms, until_day: Day, replaces: str | None = None
) -> ConsentId:
    """Consent at one custodian now, and await that it is bound."""
    act = prepare_grant(home, folder, member=member, terms=terms, until_day=until_day, replaces=replaces)
    settle(decide(home, folder, [(MemberId(member), act)], is_now=True))
    return act.consent


def prepare_lift(home: Home, folder: Path, *, consent: ConsentId) -> tuple[MemberId, LiftAct]:
    """Name the restrictions by the custodian that a consent has now, to be decided on."""
    member, _ = find_custodian(home, folder, consent)
    entry = CONSENTS.find(home.engine.snapshot(), consent)
    theirs = () if entry is None else tuple(one.terms for one in entry.restrictions if one.is_by_custodian)
    require(bool(theirs), Reason.NOTHING_TO_LIFT, consent)
    return member, LiftAct(consent=consent, restrictions=theirs)


def restrict(home: Home, folder: Path, *, consent: ConsentId, terms: Terms) -> tuple[MemberId, ...]:
    """Narrow a consent with the patient's signature alone, then hand the custodian the opening.

    It goes at once. Return the custodians whose pseudonyms its instant may join.
    """
    wallet = load_wallet(folder)
    member, author = find_custodian(home, folder, consent)
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
    linked = note_sent(home, folder, member)
    with keeping(folder, wallets.keep_terms(wallet, narrowed), instead_of=wallet):
        author.submit(RestrictConsent, consent=consent, terms=salted.commit())
    consents.accept_restriction(home.get_office(member), kept.patient, salted)
    return linked


def withdraw(home: Home, folder: Path, *, consent: ConsentId) -> tuple[MemberId, ...]:
    """Withdraw a consent with the patient's signature alone; one that still waits is never sent.

    It goes at once. Return the custodians whose pseudonyms its instant may join.
    """
    waiting = find_grant(load_outbox(folder), consent)
    if waiting is not None and CONSENTS.find(home.engine.snapshot(), consent) is None:
        call_off(home, folder, waiting.id)
        return ()
    member, author = find_custodian(home, folder, consent)
    linked = note_sent(home, folder, member)
    author.submit(WithdrawConsent, consent=consent)
    return linked


def share(home: Home, folder: Path, *, member: str, recipient: str, minutes: int) -> str:
    """Write a share code for one recipient."""
    identity, author = sign_as(home, load_wallet(folder), member)
    return wallets.write_share_code(
        author,
        custodian=identity.member,
        patient=PatientId(identity.id),
        recipient=MemberId(recipient),
        until_ms=author.clock() + minutes * MS_PER_MINUTE,
    )


def list_accesses(home: Home, folder: Path) -> Iterator[CheckedAccess]:
    """Ask every custodian who looked; the list is joined here, in the patient's own wallet alone."""
    height = home.engine.snapshot().height
    for identity in load_wallet(folder).identities:
        if identity.kind is OwnerKind.PATIENT and identity.member in home.offices:
            author = home.author(wallets.get_key(identity))
            asked = author.state(
                AccessListRequest,
                custodian=identity.member,
                patient=PatientId(identity.id),
                nonce=Nonce(author.make_id()),
                expires_ms=Instant(author.clock() + MS_PER_MINUTE),
            )
            proofs = accesses.list_accesses(home.offices[identity.member], asked.text)
            yield from accesses.check_accesses(
                proofs,
                home.engine.genesis,
                custodian=identity.member,
                patient=PatientId(identity.id),
                disclosed=accesses.list_disclosed(home.engine, PatientId(identity.id)),
                height_min=height,
            )


def find_custodian(home: Home, folder: Path, consent: ConsentId) -> tuple[MemberId, Author]:
    """Return the custodian of a consent, and the author that signs for its patient."""
    wallet, entry = load_wallet(folder), CONSENTS.find(home.engine.snapshot(), consent)
    if entry is None or not any(one.consent == consent for one in wallet.kept):
        hint = "it was not sent yet" if find_grant(load_outbox(folder), consent) else consent
        raise Refused(Reason.UNKNOWN_CONSENT, hint)
    return entry.custodian, sign_as(home, wallet, entry.custodian)[1]
