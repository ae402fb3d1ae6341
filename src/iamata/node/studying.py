"""What studies ask of a home: documents pass between the members that it serves, openings are kept."""

from pathlib import Path

from iamata.model.ids import Digest, MemberId, ModelId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.ports import NO_PATIENT
from iamata.vault.openings import Opening, keep_opening
from iamata.workflows import studies
from iamata.workflows.documents import get_document
from iamata.workflows.lineages import get_model, get_study


def find_document(home: Home, digest: Digest) -> bytes:
    """Return a document that some member of this home keeps, or refuse."""
    for office in home.offices.values():
        try:
            return get_document(office.custody, digest)
        except Refused as refused:
            if refused.reason is not Reason.NOT_FOUND:
                raise
    raise Refused(Reason.NOT_FOUND, "nobody in this home keeps that document")


def find_protocol(home: Home, study: StudyId) -> bytes:
    """Return a study's protocol as some member of this home keeps it, or refuse."""
    return find_document(home, get_study(home.engine.snapshot(), study).protocol)


def share_protocol(home: Home, study: StudyId, document: bytes) -> None:
    """Let every member of this home have a study's protocol, if it is the one that the ledger names."""
    for office in home.offices.values():
        studies.fetch_protocol(office, study, document)


def find_model_file(home: Home, model: ModelId) -> bytes:
    """Return a model's file as some member of this home keeps it, or refuse."""
    return find_document(home, get_model(home.engine.snapshot(), model).content)


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
