"""Whom a command means: people by their wallet or as records name them, and only then by an id."""

import re
from pathlib import Path
from typing import Final, TypeVar

from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import MEMBERS
from iamata.model.ids import RANDOM_PATTERN, MemberId, PatientId, PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.identities import get_only_member
from iamata.node.places import Place
from iamata.node.words import read_member
from iamata.stores.wallets import WALLET_FILE, load_wallet
from iamata.workflows.wallets import Wallet, find_identity

PATIENT_REFERENCE: Final = "Patient/"

IdT = TypeVar("IdT", bound=str)


def read_person(place: Place, text: str, *, member: str) -> PersonId:
    """Return the person whom a wallet or an id means."""
    return _read_party(place, text, PersonId, member=member, kind=OwnerKind.PERSON)


def read_asker(place: Place, text: str, *, member: str) -> PersonId:
    """Return who wants to read; a stranger's wallet gets the answer that an unknown id gets."""
    try:
        return read_person(place, text, member=member)
    except Refused as refused:
        if refused.reason is Reason.WALLET_NOT_FOUND:
            raise Refused(Reason.NOT_FOUND) from refused
        raise


def read_patient(home: Home, text: str, *, member: str) -> PatientId:
    """Return the pseudonym of the patient whom a record's reference, a wallet or a pseudonym means."""
    if text.startswith(PATIENT_REFERENCE):
        return home.get_office(member).compute_pseudonym(text)
    return _read_party(home, text, PatientId, member=member, kind=OwnerKind.PATIENT)


def spell_patient(place: Place, text: str, *, member: MemberId) -> str:
    """Name a patient to a node: by a record's reference, or by the pseudonym that a wallet has there."""
    if text.startswith(PATIENT_REFERENCE):
        return text
    return _read_party(place, text, PatientId, member=member, kind=OwnerKind.PATIENT)


def need(text: str | None, said: str) -> str:
    """Return what a home wants to be told and a node knows, or refuse."""
    if text is None:
        raise Refused(Reason.INPUT_INVALID, said)
    return text


def read_id(text: str, kind: type[IdT]) -> IdT:
    """Read an id of 26 letters and digits, or refuse."""
    require(re.match(RANDOM_PATTERN, text) is not None, Reason.INPUT_INVALID, f"{text!a} is no id")
    return kind(text)


def choose_member(place: Place, wallet: Wallet, text: str | None, *, kind: OwnerKind) -> MemberId:
    """Return the member that a command names, or the only one that knows this wallet."""
    return get_only_member(place, wallet, kind=kind) if text is None else read_member(text)


def choose_members(
    place: Place, wallet: Wallet, texts: list[str] | None, *, is_everywhere: bool
) -> tuple[MemberId, ...]:
    """Return the custodians that a patient's command names, each once, or all that know this wallet."""
    if is_everywhere:
        require(not texts, Reason.INPUT_INVALID, "--everywhere leaves no custodian to name")
        known = list_custodians(place, wallet)
        require(bool(known), Reason.WALLET_NOT_FOUND, "no member knows it as a patient's")
        return known
    if texts:
        return tuple(dict.fromkeys(map(read_member, texts)))
    return (choose_member(place, wallet, None, kind=OwnerKind.PATIENT),)


def list_custodians(place: Place, wallet: Wallet) -> tuple[MemberId, ...]:
    """List the members that know a wallet as a patient's."""
    network, kind = place.engine.network, OwnerKind.PATIENT
    return tuple(one.member for one in wallet.identities if (one.network, one.kind) == (network, kind))


def get_member(place: Place, text: str) -> MemberId:
    """Return a member that the ledger knows, or refuse."""
    member = read_member(text)
    require(MEMBERS.find(place.engine.snapshot(), member) is not None, Reason.UNKNOWN_MEMBER, member)
    return member


def _read_party(place: Place, text: str, into: type[IdT], *, member: str, kind: OwnerKind) -> IdT:
    folder = Path(text)
    if not (folder / WALLET_FILE).exists():
        return read_id(text, into)
    identity = find_identity(load_wallet(folder), member=MemberId(member), network=place.engine.network)
    require(identity.kind is kind, Reason.WALLET_NOT_FOUND, f"to {member} it belongs to a {identity.kind}")
    return into(identity.id)
