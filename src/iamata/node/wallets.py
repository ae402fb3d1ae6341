"""What a wallet does at a home or a node of a custodian: enrol, grant, narrow, withdraw, ask who looked.

What widens goes through the outbox, and may wait there. What narrows goes at once.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from iamata.consent.terms import Terms
from iamata.ledger.entries import Consent, OwnerKind, Role
from iamata.ledger.tables import CONSENTS
from iamata.ledger.transactions.consents import RestrictConsent, WithdrawConsent
from iamata.ledger.transactions.persons import RegisterPerson
from iamata.model.ids import ConsentId, MemberId, Nonce, PatientId, PersonId
from iamata.model.instants import MS_PER_MINUTE, Day, Instant, compute_day, format_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.identities import draw_identity, keeping, open_or_create, sign_as
from iamata.node.outbox import call_off, check_desk, decide, note_sent, settle
from iamata.node.places import Place
from iamata.stores.outboxes import load_outbox
from iamata.stores.wallets import load_wallet
from iamata.workflows import accesses, enrolments, wallets
from iamata.workflows.accesses import CheckedAccess
from iamata.workflows.author import Author
from iamata.workflows.messages import AccessListRequest
from iamata.workflows.outbox import EnrolAct, GrantAct, LiftAct, find_grant, list_drawn
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
    """Draw a patient's own key for a custodian whose staff stands by, to be decided on."""
    code = enrolments.invite_patient(home.get_office(member), patient)
    return prepare_enrolment_with_code(home, folder, code)


def prepare_enrolment_with_code(place: Place, folder: Path, code: str) -> EnrolAct:
    """Draw a patient's own key for the custodian that handed over a code, to be decided on."""
    wallet, invited = open_or_create(folder), enrolments.read_enrolment_code(code)
    member = invited.member
    require(invited.network == place.engine.network, Reason.FOREIGN_NETWORK)
    require(place.clock() <= invited.until_ms, Reason.EXPIRED, "the code has ended: ask for another")
    identity = draw_identity(place, member, OwnerKind.PATIENT, invited.patient)
    drawn = [(one.network, one.member) for one in list_drawn(load_outbox(folder))]
    is_first = (identity.network, member) not in drawn
    require(is_first, Reason.WALLET_ALREADY_EXISTS, f"your key for {member} waits in the outbox")
    wallets.add_identity(wallet, identity)  # or refuse: one is enough for each member
    return EnrolAct(identity=identity, code=code.strip(), until_ms=invited.until_ms)


def prepare_grant(  # noqa: PLR0913  a grant's own fields
    place: Place, folder: Path, *, member: str, terms: Terms, until_day: Day, replaces: str | None = None
) -> GrantAct:
    """Salt terms and name the consent, to be decided on."""
    _, author = sign_as(place, load_wallet(folder), member)
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
    place: Place,
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
            prepare_grant(
                place, folder, member=member, terms=terms, until_day=until_day, replaces=replaces
            ),
        )
        for member in members
    ]


def enrol_patient(home: Home, folder: Path, *, member: str, patient: PatientId) -> Identity:
    """Put a patient's own key in place now: enrol, or take over from the custodian who held one."""
    return enrol_with_code(home, folder, enrolments.invite_patient(home.get_office(member), patient))


def enrol_with_code(place: Place, folder: Path, code: str) -> Identity:
    """Put a patient's own key in place now, with the code that the custodian handed over."""
    act = prepare_enrolment_with_code(place, folder, code)
    settle(decide(place, folder, [(act.identity.member, act)], is_now=True))
    return act.identity


def grant(  # noqa: PLR0913  a grant's own fields
    place: Place, folder: Path, *, member: str, terms: Terms, until_day: Day, replaces: str | None = None
) -> ConsentId:
    """Consent at one custodian now, and await that it is bound."""
    act = prepare_grant(place, folder, member=member, terms=terms, until_day=until_day, replaces=replaces)
    settle(decide(place, folder, [(MemberId(member), act)], is_now=True))
    return act.consent


def prepare_lift(place: Place, folder: Path, *, consent: ConsentId) -> tuple[MemberId, LiftAct]:
    """Name the restrictions by the custodian that a consent has now, to be decided on."""
    member, _ = find_custodian(place, folder, consent)
    place.get_desk(member)  # or refuse, before a node is asked about what is not its own
    entry = CONSENTS.find(place.engine.snapshot(), consent)
    theirs = () if entry is None else tuple(one.terms for one in entry.restrictions if one.is_by_custodian)
    require(bool(theirs), Reason.NOTHING_TO_LIFT, consent)
    return member, LiftAct(consent=consent, restrictions=theirs)


def restrict(place: Place, folder: Path, *, consent: ConsentId, terms: Terms) -> tuple[MemberId, ...]:
    """Narrow a consent with the patient's signature alone, then hand the custodian the opening.

    It goes at once. Return the custodians whose pseudonyms its instant may join.
    """
    wallet = load_wallet(folder)
    member, author = find_custodian(place, folder, consent)
    desk = place.get_desk(member)
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
    linked = note_sent(place, folder, member)
    with keeping(folder, wallets.keep_terms(wallet, narrowed), instead_of=wallet):
        author.submit(RestrictConsent, consent=consent, terms=salted.commit())
    desk.accept_restriction(kept.patient, salted)
    return linked


def withdraw(place: Place, folder: Path, *, consent: ConsentId) -> tuple[MemberId, ...]:
    """Withdraw a consent with the patient's signature alone; one that still waits is never sent.

    It goes at once. Return the custodians whose pseudonyms its instant may join.
    """
    waiting = find_grant(load_outbox(folder), consent)
    if waiting is not None:
        check_desk(place, waiting)
        if CONSENTS.find(place.engine.snapshot(), consent) is None:
            call_off(place, folder, waiting.id)
            return ()
    member, author = find_custodian(place, folder, consent)
    linked = note_sent(place, folder, member)
    author.submit(WithdrawConsent, consent=consent)
    return linked


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


def list_consents(place: Place, folder: Path) -> list[tuple[KeptTerms, Consent]]:
    """List the consents in a wallet with what the ledger says of each, as far as they are this place's.

    A node that was asked about another custodian's could join the patient's two pseudonyms.
    """
    wallet, network, view = load_wallet(folder), place.engine.network, place.engine.snapshot()
    patients = {
        one.id: None
        for one in wallet.identities
        if one.network == network and one.kind is OwnerKind.PATIENT and place.has_desk(one.member)
    }
    return [
        (kept, entry)
        for kept in wallet.kept
        if kept.patient in patients and not kept.narrows
        if (entry := CONSENTS.find(view, kept.consent)) is not None
    ]


def find_custodian(place: Place, folder: Path, consent: ConsentId) -> tuple[MemberId, Author]:
    """Return the custodian of a consent, and the author that signs for its patient there.

    The wallet knows: a node that was asked about another custodian's consent could join two pseudonyms.
    """
    wallet, network = load_wallet(folder), place.engine.network
    patients = [one.patient for one in wallet.kept if one.consent == consent]
    for identity in wallet.identities:
        if identity.id in patients and identity.network == network and identity.kind is OwnerKind.PATIENT:
            return identity.member, place.author(wallets.get_key(identity))
    hint = "it was not sent yet" if find_grant(load_outbox(folder), consent) else consent
    raise Refused(Reason.UNKNOWN_CONSENT, hint)
