"""How each act of a patient is sent to its custodian, so that sending it again has no second effect.

Each function first looks whether the ledger has the act already: a process may have been killed after
sending and before it could forget. What is new in a wallet is durable before the ledger hears of it.
"""

from pathlib import Path

import msgspec

from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import CONSENTS, PATIENTS
from iamata.ledger.transactions.consents import ConfirmConsent, LiftRestriction
from iamata.ledger.transactions.patients import AddPatientKey, EnrolPatient, TakeOver
from iamata.model.ids import MemberId, PatientId
from iamata.model.instants import compute_day, format_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.identities import keeping, open_or_create, sign_as
from iamata.stores.wallets import load_wallet, save_wallet
from iamata.workflows import consents, wallets
from iamata.workflows.outbox import AddDeviceAct, ConfirmAct, EnrolAct, GrantAct, LiftAct, Waiting
from iamata.workflows.siblings import compute_common_last_day
from iamata.workflows.wallets import Identity, KeptTerms, SaltedTerms, Wallet


def deliver(home: Home, folder: Path, waiting: Waiting) -> None:
    """Send an act and await that the ledger has it; raise the refusal where it says no."""
    act, member = waiting.act, waiting.member
    if isinstance(act, GrantAct):
        send_grant(home, folder, member, act)
    elif isinstance(act, EnrolAct):
        send_enrolment(home, folder, act.identity)
    elif isinstance(act, AddDeviceAct):
        send_device(home, folder, act)
    elif isinstance(act, ConfirmAct):
        send_confirmation(home, folder, member, act.kept)
    else:
        send_lift(home, folder, member, act)


def has_arrived(home: Home, waiting: Waiting) -> bool:
    """Tell whether the ledger has an act, so that it can no longer be called off."""
    act, view = waiting.act, home.engine.snapshot()
    if isinstance(act, GrantAct):
        return CONSENTS.find(view, act.consent) is not None
    if isinstance(act, EnrolAct | AddDeviceAct):
        patient = PATIENTS.find(view, act.identity.id)
        return patient is not None and wallets.get_key(act.identity).key_id in patient.keys
    consent = CONSENTS.find(view, act.kept.consent if isinstance(act, ConfirmAct) else act.consent)
    if consent is None:
        return False
    if isinstance(act, ConfirmAct):
        return consent.is_confirmed
    return not any(one.terms in act.restrictions for one in consent.restrictions if one.is_by_custodian)


def send_grant(home: Home, folder: Path, member: MemberId, act: GrantAct) -> None:
    """Sign terms, hand them to the custodian, and await that it is bound to them."""
    wallet = load_wallet(folder)
    identity, author = sign_as(home, wallet, member)
    salted, today = SaltedTerms(terms=act.terms, salt=act.salt), compute_day(author.clock())
    known = CONSENTS.find(home.engine.snapshot(), act.consent)
    # The patient's own choice stands in the terms, which the ledger does not see.
    last_day = compute_common_last_day(today) if known is None else known.until_day
    kept = KeptTerms(
        consent=act.consent,
        patient=PatientId(identity.id),
        terms=act.terms,
        salt=act.salt,
        until_day=last_day,
    )
    without = forget_terms(wallet, act)
    if known is not None:
        require(known.terms == salted.commit(), Reason.CONSENT_ALREADY_EXISTS, act.consent)
        save_wallet(folder, wallets.keep_terms(without, kept))
        return
    require(act.last_day >= today, Reason.CONSENT_ALREADY_EXPIRED, format_day(act.last_day))
    signed = wallets.sign_grant(
        author,
        salted,
        consent=act.consent,
        patient=kept.patient,
        custodian=identity.member,
        until_day=last_day,
        replaces=None if act.replaces is msgspec.UNSET else act.replaces,
    )
    with keeping(folder, wallets.keep_terms(without, kept), instead_of=without):
        consents.accept_grant(home.get_office(member), signed.text, salted)


def send_enrolment(home: Home, folder: Path, identity: Identity) -> None:
    """Put a patient's own key in place: enrol, or take over from the custodian who held one."""
    office, wallet, patient = home.get_office(identity.member), load_wallet(folder), PatientId(identity.id)
    without = forget_identity(wallet, identity)
    known, author = PATIENTS.find(office.take_view(), patient), home.author(wallets.get_key(identity))
    if known is not None and author.key.key_id in known.keys:
        save_wallet(folder, wallets.add_identity(without, identity))
        return
    require(known is None or known.is_custodial, Reason.PATIENT_ALREADY_EXISTS, "a key is held already")
    possession = author.prove_possession(OwnerKind.PATIENT, patient, member=office.member)
    with keeping(folder, wallets.add_identity(without, identity), instead_of=without):
        kind = EnrolPatient if known is None else TakeOver
        office.author.submit(kind, patient=patient, possession=possession)


def send_device(home: Home, folder: Path, act: AddDeviceAct) -> None:
    """Give another wallet a key, with what it needs to know, and let the key speak for the patient."""
    wallet, identity, other = load_wallet(folder), act.identity, Path(act.folder)
    _, author = sign_as(home, wallet, identity.member)
    without = forget_identity(open_or_create(other), identity)
    device = wallets.add_identity(without, identity)
    for kept in wallet.kept:
        if kept.patient == identity.id and kept not in device.kept:
            device = wallets.keep_terms(device, kept)
    key, known = wallets.get_key(identity), PATIENTS.find(home.engine.snapshot(), identity.id)
    if known is not None and key.key_id in known.keys:
        save_wallet(other, device)
        return
    possession = home.author(key).prove_possession(OwnerKind.PATIENT, identity.id, member=identity.member)
    with keeping(other, device, instead_of=without):
        author.submit(AddPatientKey, patient=PatientId(identity.id), possession=possession)


def send_confirmation(home: Home, folder: Path, member: MemberId, kept: KeptTerms) -> None:
    """Stand by what the custodian signed, and keep its opening."""
    wallet = load_wallet(folder)
    _, author = sign_as(home, wallet, member)
    if kept not in wallet.kept:
        save_wallet(folder, wallets.keep_terms(wallet, kept))
    known = CONSENTS.find(home.engine.snapshot(), kept.consent)
    if known is None:
        raise Refused(Reason.UNKNOWN_CONSENT, kept.consent)
    if not known.is_confirmed:
        author.submit(ConfirmConsent, consent=kept.consent)


def send_lift(home: Home, folder: Path, member: MemberId, act: LiftAct) -> None:
    """Undo the custodian's restrictions that still stand."""
    _, author = sign_as(home, load_wallet(folder), member)
    known = CONSENTS.find(home.engine.snapshot(), act.consent)
    if known is None:
        raise Refused(Reason.UNKNOWN_CONSENT, act.consent)
    for restriction in known.restrictions:
        if restriction.is_by_custodian and restriction.terms in act.restrictions:
            author.submit(LiftRestriction, consent=act.consent, terms=restriction.terms)


def forget_terms(wallet: Wallet, act: GrantAct) -> Wallet:
    """Return the wallet without what an earlier attempt to send a grant kept."""
    remaining = tuple(one for one in wallet.kept if one.consent != act.consent or one.narrows)
    return msgspec.structs.replace(wallet, kept=remaining)


def forget_identity(wallet: Wallet, identity: Identity) -> Wallet:
    """Return the wallet without the identity that an earlier attempt kept."""
    remaining = tuple(one for one in wallet.identities if one != identity)
    return msgspec.structs.replace(wallet, identities=remaining)
