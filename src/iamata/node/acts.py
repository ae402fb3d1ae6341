"""How each act of a patient is sent to its custodian, so that sending it again has no second effect.

Each function first looks whether the ledger has the act already: a process may have been killed after
sending and before it could forget. What is new in a wallet is durable before the ledger hears of it.
"""

from pathlib import Path
from typing import Final

import msgspec

from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import CONSENTS, PATIENTS
from iamata.ledger.transactions.consents import ConfirmConsent, LiftRestriction
from iamata.ledger.transactions.patients import AddPatientKey
from iamata.model.ids import MemberId, PatientId
from iamata.model.instants import compute_day, format_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node.identities import keeping, open_or_create, sign_as
from iamata.node.places import Place
from iamata.stores.wallets import load_wallet, save_wallet
from iamata.workflows import enrolments, wallets
from iamata.workflows.outbox import AddDeviceAct, ConfirmAct, EnrolAct, GrantAct, LiftAct, Waiting
from iamata.workflows.siblings import compute_common_last_day
from iamata.workflows.wallets import Identity, KeptTerms, SaltedTerms, Wallet

_STRANGERS: Final = (Reason.NOT_SIGNED, Reason.UNKNOWN_SIGNER)
"""How a node refuses whom its ledger does not know."""


def deliver(place: Place, folder: Path, waiting: Waiting) -> None:
    """Send an act and await that the ledger has it; raise the refusal where it says no."""
    act, member = waiting.act, waiting.member
    if isinstance(act, GrantAct):
        send_grant(place, folder, member, act)
    elif isinstance(act, EnrolAct):
        send_enrolment(place, folder, act)
    elif isinstance(act, AddDeviceAct):
        send_device(place, folder, act)
    elif isinstance(act, ConfirmAct):
        send_confirmation(place, folder, member, act.kept)
    else:
        send_lift(place, folder, member, act)


def has_arrived(place: Place, waiting: Waiting) -> bool:
    """Tell whether the ledger has an act, so that it can no longer be called off."""
    act = waiting.act
    if isinstance(act, EnrolAct | AddDeviceAct):
        return is_known(place, act.identity)
    view = place.engine.snapshot()
    if isinstance(act, GrantAct):
        return CONSENTS.find(view, act.consent) is not None
    consent = CONSENTS.find(view, act.kept.consent if isinstance(act, ConfirmAct) else act.consent)
    if consent is None:
        return False
    if isinstance(act, ConfirmAct):
        return consent.is_confirmed
    return not any(one.terms in act.restrictions for one in consent.restrictions if one.is_by_custodian)


def is_under_way(folder: Path, waiting: Waiting) -> bool:
    """Tell whether a custodian may hold an act: only a clear refusal takes back what the wallet kept."""
    act = waiting.act
    if isinstance(act, GrantAct):
        return any(one.consent == act.consent for one in load_wallet(folder).kept)
    return isinstance(act, EnrolAct) and act.identity in load_wallet(folder).identities


def send_grant(place: Place, folder: Path, member: MemberId, act: GrantAct) -> None:
    """Sign terms, hand them to the custodian, and await that it is bound to them."""
    wallet = load_wallet(folder)
    identity, author = sign_as(place, wallet, member)
    salted, today = SaltedTerms(terms=act.terms, salt=act.salt), compute_day(author.clock())
    known = CONSENTS.find(place.engine.snapshot(), act.consent)
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
        place.get_desk(member).accept_grant(signed.text, salted)


def send_enrolment(place: Place, folder: Path, act: EnrolAct) -> None:
    """Put a patient's own key in place with the code that the custodian has written."""
    wallet, identity = load_wallet(folder), act.identity
    without = forget_identity(wallet, identity)
    held = wallets.add_identity(without, identity)
    if is_known(place, identity):
        save_wallet(folder, held)
        return
    invited, author = enrolments.read_enrolment_code(act.code), place.author(wallets.get_key(identity))
    possession = enrolments.sign_enrolment(invited, author)
    with keeping(folder, held, instead_of=without):
        place.get_desk(identity.member).accept_enrolment(act.code, possession)


def is_known(place: Place, identity: Identity) -> bool:
    """Tell whether the ledger has a patient's key; a node that will not answer it does not know it."""
    try:
        patient = PATIENTS.find(place.engine.snapshot(), identity.id)
    except Refused as refused:
        if refused.reason not in _STRANGERS:
            raise
        return False
    return patient is not None and wallets.get_key(identity).key_id in patient.keys


def send_device(place: Place, folder: Path, act: AddDeviceAct) -> None:
    """Give another wallet a key, with what it needs to know, and let the key speak for the patient."""
    wallet, identity, other = load_wallet(folder), act.identity, Path(act.folder)
    _, author = sign_as(place, wallet, identity.member)
    without = forget_identity(open_or_create(other), identity)
    device = wallets.add_identity(without, identity)
    for kept in wallet.kept:
        if kept.patient == identity.id and kept not in device.kept:
            device = wallets.keep_terms(device, kept)
    if is_known(place, identity):
        save_wallet(other, device)
        return
    possession = place.author(wallets.get_key(identity)).prove_possession(
        OwnerKind.PATIENT, identity.id, member=identity.member
    )
    with keeping(other, device, instead_of=without):
        author.submit(AddPatientKey, patient=PatientId(identity.id), possession=possession)


def send_confirmation(place: Place, folder: Path, member: MemberId, kept: KeptTerms) -> None:
    """Stand by what the custodian signed, and keep its opening."""
    wallet = load_wallet(folder)
    _, author = sign_as(place, wallet, member)
    if kept not in wallet.kept:
        save_wallet(folder, wallets.keep_terms(wallet, kept))
    known = CONSENTS.find(place.engine.snapshot(), kept.consent)
    if known is None:
        raise Refused(Reason.UNKNOWN_CONSENT, kept.consent)
    if not known.is_confirmed:
        author.submit(ConfirmConsent, consent=kept.consent)


def send_lift(place: Place, folder: Path, member: MemberId, act: LiftAct) -> None:
    """Undo the custodian's restrictions that still stand."""
    _, author = sign_as(place, load_wallet(folder), member)
    known = CONSENTS.find(place.engine.snapshot(), act.consent)
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
