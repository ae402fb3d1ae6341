"""A member asks another one for records on behalf of a person of its staff, and opens what it gets."""

from typing import Final

import msgspec

from iamata.crypto.merkle import hash_leaf
from iamata.ledger.tables import ACCESSES, MEMBERS
from iamata.model.ids import AccessId, Digest, MemberId, PatientId, PersonId, encode_digest
from iamata.model.instants import MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.vault.sharing import ReleaseContext, SharedRecord, open_release
from iamata.workflows.messages import ReceiptNote, RecordRequest, Release, ReleaseNote, read_message
from iamata.workflows.office import Office

REQUEST_MS: Final = 5 * MS_PER_MINUTE


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Records that arrived, and the receipt to send back."""

    access: AccessId
    custodian: MemberId
    records: tuple[SharedRecord, ...]
    receipt: str


def ask_with_share(office: Office, *, custodian: MemberId, person: PersonId, purpose: str, share: str) -> str:
    """Write a request that shows the patient's share code."""
    return _ask(office, custodian=custodian, person=person, purpose=purpose, share=share)


def ask_in_emergency(
    office: Office, *, custodian: MemberId, person: PersonId, purpose: str, emergency: AccessId
) -> str:
    """Write a request that shows the emergency which the person has declared."""
    return _ask(office, custodian=custodian, person=person, purpose=purpose, emergency=emergency)


def receive(office: Office, release: Release, *, custodian: MemberId, person: PersonId) -> Received:
    """Open a release, check it against its sender's signature and the ledger, and journal who is shown it."""
    note = read_message(release.note, ReleaseNote, network=office.author.engine.network)
    said: ReleaseNote = note.payload
    view = office.take_view()
    sender, access = MEMBERS.find(view, custodian), ACCESSES.find(view, said.access)
    require(sender is not None and note.key == sender.signing_key, Reason.NOT_THE_CUSTODIAN)
    require(said.recipient == office.member, Reason.UNKNOWN_RECIPIENT)
    if access is None or access.custodian != custodian:
        raise Refused(Reason.UNKNOWN_ACCESS, "the ledger does not know this disclosure")
    digest = Digest(encode_digest(hash_leaf(release.ciphertext)))
    require(digest == said.ciphertext, Reason.CANNOT_OPEN, "not the ciphertext that was signed")
    context = ReleaseContext(
        access=said.access, custodian=custodian, recipient=office.member, list_root=said.list_root
    )
    records = open_release(office.sealing_key, release.ciphertext, context=context)
    entry = JournalEntry(
        kind=JournalKind.SERVE,
        patient=PatientId(access.patient),
        id=said.access,
        time_ms=office.tell_time(view),
        payload=msgspec.json.encode({"person": person, "custodian": custodian, "records": len(records)}),
    )
    append_entries(office.custody, [entry])
    receipt = office.author.state(ReceiptNote, access=said.access, ciphertext=digest)
    return Received(access=said.access, custodian=custodian, records=tuple(records), receipt=receipt.text)


def _ask(office: Office, *, custodian: MemberId, person: PersonId, purpose: str, **pointer: str) -> str:
    message = office.author.state(
        RecordRequest,
        access=AccessId(office.author.make_id()),
        custodian=custodian,
        person=person,
        purpose=purpose,
        expires_ms=Instant(office.author.clock() + REQUEST_MS),
        **pointer,
    )
    return message.text
