"""Check the wallets in a home: every key must speak for its owner on the ledger, every opening must open.

A wallet keeps a key, and terms, before the ledger hears of them; what never arrived there is no fault.
"""

from pathlib import Path

from iamata.ledger.entries import OwnerKind
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import CONSENTS, KEYS, PATIENTS, PERSONS
from iamata.model.ids import Commitment, MemberId
from iamata.node.home import WALLETS_FOLDER
from iamata.stores.outboxes import load_outbox
from iamata.stores.wallets import load_wallet
from iamata.workflows.disclosure_verification import expect
from iamata.workflows.replayed import Replayed
from iamata.workflows.wallets import Identity, KeptTerms, SaltedTerms, get_key


class Consented:
    """Every commitment to terms that the ledger has ever held, and the consent it belongs to."""

    def __init__(self, ledger: Replayed) -> None:
        self.granted: dict[Commitment, str] = {
            consent.terms: name for name, consent in ledger.list_entries(CONSENTS)
        }
        self.narrowed = ledger.history.narrowed


def verify_wallets(path: Path, ledger: Replayed) -> int:
    """Check every wallet of a home; return how many identities the ledger knows."""
    folders, consented = sorted((path / WALLETS_FOLDER).glob("*/")), Consented(ledger)
    return sum(verify_wallet(folder, ledger.state, consented) for folder in folders)


def verify_wallet(folder: Path, state: LedgerState, consented: Consented) -> int:
    """Check one wallet against the ledger."""
    wallet, place = load_wallet(folder), f"{WALLETS_FOLDER}/{folder.name}"
    for waiting in load_outbox(folder).waiting:
        expect(waiting.network == state.network, f"{place}: {waiting.id} waits for another network")
    for kept in wallet.kept:
        _check_terms(kept, state, consented, f"{place}: the terms of consent {kept.consent}")
    return sum(
        _check_identity(one, state, f"{place}: {one.kind} {one.id} at {one.member}")
        for one in wallet.identities
    )


def _check_identity(identity: Identity, state: LedgerState, what: str) -> bool:
    """Tell whether the ledger knows an identity; refuse one that is not as the ledger knows it."""
    expect(identity.network == state.network, f"{what} is of another network")
    owner = KEYS.find(state.entries, get_key(identity).key_id)
    custodian = _find_custodian(identity, state)
    if owner is None and custodian is None:
        return False
    is_owner = owner is not None and (owner.kind, owner.owner) == (identity.kind, identity.id)
    expect(is_owner, f"{what} does not hold a key that the ledger knows for it")
    expect(custodian == identity.member, f"{what} is known to another member")
    return True


def _find_custodian(identity: Identity, state: LedgerState) -> MemberId | None:
    if not identity.id.isascii():
        return None
    if identity.kind is OwnerKind.PERSON:
        person = PERSONS.find(state.entries, identity.id)
        return None if person is None else person.member
    patient = PATIENTS.find(state.entries, identity.id)
    return None if patient is None else patient.custodian


def _check_terms(kept: KeptTerms, state: LedgerState, consented: Consented, what: str) -> None:
    commitment = SaltedTerms(terms=kept.terms, salt=kept.salt).commit()
    consent = CONSENTS.find(state.entries, kept.consent)
    known = consented.narrowed if kept.narrows else consented.granted
    if consent is None:
        expect(commitment not in known, f"{what} belong to another consent")
        return
    is_same = (consent.patient, consent.until_day) == (kept.patient, kept.until_day)
    expect(is_same, f"{what} name another patient or last day than the ledger")
    expect(known.get(commitment) == kept.consent, f"{what} are not what the ledger committed to")
