"""A patient's devices: each has a wallet and a key of its own, added and removed singly."""

from pathlib import Path

from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import PATIENTS
from iamata.ledger.transactions.patients import RemovePatientKey
from iamata.model.ids import KeyId, MemberId, PatientId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.identities import draw_identity, open_or_create, sign_as
from iamata.node.outbox import note_sent
from iamata.node.places import Place
from iamata.stores.wallets import load_wallet
from iamata.workflows.outbox import FOLDER_LENGTH_MAX, AddDeviceAct
from iamata.workflows.wallets import add_identity


def list_keys(place: Place, folder: Path, *, member: str) -> tuple[KeyId, tuple[KeyId, ...]]:
    """Return this wallet's key at a member, and all keys that speak for the same patient there.

    Asked of another member's node, it would learn a pseudonym that is none of its business.
    """
    require(place.has_desk(MemberId(member)), Reason.UNKNOWN_MEMBER, f"ask where {member} is served")
    identity, author = sign_as(place, load_wallet(folder), member)
    entry = PATIENTS.find(place.engine.snapshot(), identity.id)
    if entry is None:
        raise Refused(Reason.UNKNOWN_PATIENT)
    return author.key.key_id, entry.keys


def prepare_device(place: Place, folder: Path, other: Path, *, member: str) -> AddDeviceAct:
    """Draw the key with which another wallet will speak for the same patient, to be decided on."""
    identity, _ = sign_as(place, load_wallet(folder), member)
    fresh = draw_identity(place, member, OwnerKind.PATIENT, identity.id)
    add_identity(open_or_create(other), fresh)  # or refuse: one is enough for each member
    where = str(other.resolve())
    require(len(where) <= FOLDER_LENGTH_MAX, Reason.INPUT_TOO_LARGE, "the path of the other wallet")
    return AddDeviceAct(identity=fresh, folder=where)


def remove_key(place: Place, folder: Path, key: KeyId, *, member: str) -> tuple[MemberId, ...]:
    """Let a key speak for the patient no more, at once.

    Return the custodians whose pseudonyms its instant may join.
    """
    identity, author = sign_as(place, load_wallet(folder), member)
    linked = note_sent(place, folder, identity.member)
    author.submit(RemovePatientKey, patient=PatientId(identity.id), key=key)
    return linked
