"""A patient's devices: each has a wallet and a key of its own, added and removed singly."""

from pathlib import Path

from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import PATIENTS
from iamata.ledger.transactions.patients import AddPatientKey, RemovePatientKey
from iamata.model.ids import KeyId, PatientId
from iamata.model.reasons import Reason, Refused
from iamata.node.places import Place
from iamata.node.wallets import draw_identity, open_or_create, sign_as
from iamata.stores.wallets import load_wallet, save_wallet
from iamata.workflows.wallets import add_identity, get_key, keep_terms


def list_keys(place: Place, folder: Path, *, member: str) -> tuple[KeyId, tuple[KeyId, ...]]:
    """Return this wallet's key at a member, and all keys that speak for the same patient there."""
    identity, author = sign_as(place, load_wallet(folder), member)
    entry = PATIENTS.find(place.engine.snapshot(), identity.id)
    if entry is None:
        raise Refused(Reason.UNKNOWN_PATIENT)
    return author.key.key_id, entry.keys


def add_device(place: Place, folder: Path, other: Path, *, member: str) -> KeyId:
    """Let another wallet speak for the same patient; it keeps its key before the ledger hears of it."""
    wallet = load_wallet(folder)
    identity, author = sign_as(place, wallet, member)
    fresh = draw_identity(place, member, OwnerKind.PATIENT, identity.id)
    device = add_identity(open_or_create(other), fresh)
    for kept in wallet.kept:
        if kept.patient == identity.id:
            device = keep_terms(device, kept)
    save_wallet(other, device)
    possession = place.author(get_key(fresh)).prove_possession(
        OwnerKind.PATIENT, identity.id, member=identity.member
    )
    author.submit(AddPatientKey, patient=PatientId(identity.id), possession=possession)
    return possession.key


def remove_key(place: Place, folder: Path, key: KeyId, *, member: str) -> None:
    """Let a key speak for the patient no more."""
    identity, author = sign_as(place, load_wallet(folder), member)
    author.submit(RemovePatientKey, patient=PatientId(identity.id), key=key)
