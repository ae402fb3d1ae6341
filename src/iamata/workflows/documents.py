"""Public documents of studies, by their hash: protocols, models, cards. Who has the hash can check them."""

import hashlib
from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from iamata.learning.protocols import Protocol, name_document, read_protocol
from iamata.ledger.entries import Study
from iamata.model.ids import Digest, MemberId, RunId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import NO_PATIENT
from iamata.vault.custody import Custody
from iamata.vault.openings import NO_SALT, PAYLOAD_BYTES_MAX, Opening, find_opening, keep_opening

DOCUMENT: Final = "document"
EVALUATION: Final = "evaluation"
HANDED_IN: Final = "handed-in"
_TRANSCRIPT: Final = b"iamata/1/attested\x00"
ROUNDS_BYTES: Final = 32


def keep_document(custody: Custody, raw: bytes) -> Digest:
    """Keep a document, once, and return its name."""
    require(len(raw) <= PAYLOAD_BYTES_MAX, Reason.INPUT_TOO_LARGE, "a document")
    digest = name_document(raw)
    keep_opening(
        custody,
        Opening(name=digest, patient=NO_PATIENT, kind=DOCUMENT, salt=NO_SALT, payload=raw),
    )
    return digest


def is_kept(custody: Custody, raw: bytes) -> bool:
    """Tell whether a document is kept here already."""
    return find_opening(custody, name_document(raw)) is not None


def get_document(custody: Custody, digest: Digest) -> bytes:
    """Return a document that is kept here, or refuse."""
    opening = find_opening(custody, digest)
    if opening is None or opening.kind != DOCUMENT or name_document(opening.payload) != digest:
        raise Refused(Reason.NOT_FOUND, "a document")
    return opening.payload


def fetch_document(custody: Custody, digest: Digest, show: Callable[[Digest], bytes]) -> bytes:
    """Return a document that is kept here; another is asked for, checked, and kept from now on."""
    try:
        return get_document(custody, digest)
    except Refused as refused:
        if refused.reason is not Reason.NOT_FOUND:
            raise
    raw = show(digest)
    require(name_document(raw) == digest, Reason.BODY_CHANGED, "a document")
    keep_document(custody, raw)
    return raw


class HandedIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a site brings to a study's owner at the end of a run."""

    run: RunId
    model: bytes
    evaluation: bytes
    rounds: Annotated[bytes, msgspec.Meta(min_length=ROUNDS_BYTES, max_length=ROUNDS_BYTES)]
    """The transcript of all rounds."""

    def compute_transcript(self) -> Digest:
        """Compute what the site attests beside the model."""
        return compute_transcript(self.rounds, self.evaluation)


def compute_transcript(rounds: bytes, evaluation: bytes) -> Digest:
    """Compute what sites attest beside a model: the rounds, and what they said it is worth."""
    said = _TRANSCRIPT + rounds + hashlib.sha256(evaluation).digest()
    return Digest(encode_digest(hashlib.sha256(said).digest()))


def note_handed_in(custody: Custody, sender: MemberId, handed: HandedIn) -> None:
    """Note what a site hands in for a run: the same again changes nothing, anything else is refused.

    So a site cannot fill its owner's disk with models.
    """
    said = hashlib.sha256(handed.model).digest() + handed.compute_transcript().encode("ascii")
    name = f"{handed.run}/of/{sender}"
    keep_opening(
        custody, Opening(name=name, patient=NO_PATIENT, kind=HANDED_IN, salt=NO_SALT, payload=said)
    )


def keep_handed_in(custody: Custody, handed: HandedIn) -> None:
    """Keep what a site says a model is worth, under the transcript that stands for it."""
    name = f"{handed.run}/{handed.compute_transcript()}"
    said = handed.rounds + handed.evaluation
    keep_opening(
        custody, Opening(name=name, patient=NO_PATIENT, kind=EVALUATION, salt=NO_SALT, payload=said)
    )


def get_handed_in(custody: Custody, run: RunId, transcript: Digest) -> tuple[bytes, bytes]:
    """Return an attested transcript's rounds and evaluation, or refuse where nobody handed them in."""
    opening = find_opening(custody, f"{run}/{transcript}")
    if opening is None or opening.kind != EVALUATION:
        raise Refused(Reason.NOT_FOUND, "what the sites attest was not handed in")
    return opening.payload[:ROUNDS_BYTES], opening.payload[ROUNDS_BYTES:]


def get_protocol(custody: Custody, study: Study) -> Protocol:
    """Return a study's protocol, which has been fetched, or refuse."""
    return read_protocol(get_document(custody, study.protocol))
