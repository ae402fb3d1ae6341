"""What studies ask of a home: documents pass between the members that it serves, openings are kept."""

from pathlib import Path

from iamata.learning.protocols import name_document
from iamata.model.ids import Digest, MemberId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.places import RemotePlace
from iamata.ports import NO_PATIENT
from iamata.vault.openings import Opening, keep_opening
from iamata.wire.desk import Desk
from iamata.workflows import studies
from iamata.workflows.author import Author
from iamata.workflows.documents import get_document
from iamata.workflows.lineages import get_study
from iamata.workflows.studies import Proposal


def fetch_document(place: Home | RemotePlace, digest: Digest, *, owner: MemberId) -> bytes:
    """Return a study's document as this home or this node keeps it, or as its owner shows it to a home."""
    if isinstance(place, RemotePlace):
        return fetch_shown(place.get_desk(place.member), digest)
    try:
        return find_document(place, digest)
    except Refused as refused:
        if refused.reason is not Reason.NOT_FOUND or place.has_desk(owner):
            raise
    return fetch_shown(place.get_desk(owner), digest)


def fetch_shown(desk: Desk, digest: Digest) -> bytes:
    """Ask a desk for a document, and check that it is the one."""
    document = desk.show_document(digest)
    require(name_document(document) == digest, Reason.BODY_CHANGED, f"what {desk.member} shows")
    return document


def find_document(home: Home, digest: Digest) -> bytes:
    """Return a document that some member of this home keeps, or refuse."""
    for office in home.offices.values():
        try:
            return get_document(office.custody, digest)
        except Refused as refused:
            if refused.reason is not Reason.NOT_FOUND:
                raise
    raise Refused(Reason.NOT_FOUND, "nobody in this home keeps that document")


def fetch_protocol(place: Home | RemotePlace, study: StudyId) -> bytes:
    """Return a study's protocol, or refuse; a node asks the study's owner for its own staff."""
    entry = get_study(place.engine.snapshot(), study)
    try:
        return fetch_document(place, entry.protocol, owner=entry.owner)
    except Refused as refused:
        if refused.reason is not Reason.NOT_FOUND or not isinstance(place, RemotePlace):
            raise
        document = fetch_through(place, study, owner=entry.owner)
    require(name_document(document) == entry.protocol, Reason.BODY_CHANGED, f"what {place.member} shows")
    return document


def fetch_through(place: RemotePlace, study: StudyId, *, owner: MemberId) -> bytes:
    """Have a node ask a study's owner for the protocol, or say what it takes."""
    try:
        return place.staff.show_protocol(study)
    except Refused as refused:
        if refused.reason is Reason.NOT_THE_PERSON:  # a patient gets what the custodian has
            raise Refused(Reason.NOT_FOUND, f"{place.member} does not keep the protocol") from refused
        if refused.reason in {Reason.UNKNOWN_MEMBER, Reason.NODE_UNREACHABLE}:
            says = f"{place.member}'s node does not reach that of {owner}, which keeps the protocol"
            raise Refused(Reason.NODE_UNREACHABLE, says) from refused
        raise


def propose(
    place: Home | RemotePlace, researcher: Author, document: bytes, proposal: Proposal, *, owner: MemberId
) -> StudyId:
    """Have the owner keep a study's protocol, and put the study before the reviewers."""
    if isinstance(place, RemotePlace):
        place.staff.keep_document(document)
        return studies.submit_proposal(researcher, document, proposal)
    study = studies.propose_study(place.get_office(owner), researcher, document, proposal)
    share_protocol(place, study, document)
    return study


def share_protocol(home: Home, study: StudyId, document: bytes) -> None:
    """Let every member of this home have a study's protocol, if it is the one that the ledger names."""
    for office in home.offices.values():
        studies.fetch_protocol(office, study, document)


def keep_grounds(home: Home, member: MemberId, salt: bytes, grounds: str) -> None:
    """Keep what opens a reviewer's grounds with their member, where it is served from this home."""
    office = home.offices.get(member)
    if office is None:
        return
    opening = Opening(
        name="", patient=NO_PATIENT, kind=studies.GROUNDS, salt=salt, payload=grounds.encode("utf-8")
    )
    named = Opening(
        name=opening.commitment,
        patient=NO_PATIENT,
        kind=opening.kind,
        salt=opening.salt,
        payload=opening.payload,
    )
    keep_opening(office.custody, named)


def read_file(path: Path, *, bytes_max: int) -> bytes:
    """Read a small file, or refuse one that is missing or too large."""
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    require(len(raw) <= bytes_max, Reason.INPUT_TOO_LARGE, f"{path}: {bytes_max:,} bytes are allowed")
    return raw
