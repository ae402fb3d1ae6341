"""Check the records in files, folders and archives, and change nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from iamata.fhir.resources import compact
from iamata.fhir.validation.checking import state_incompleteness
from iamata.fhir.validation.documents import validate_document
from iamata.fhir.validation.issues import Issue, state_refusal
from iamata.intake.limits import Limits
from iamata.intake.lines import read_chunks
from iamata.intake.progress import Progress
from iamata.intake.sources import Kind, Source, Unreadable, read_document, read_sources
from iamata.model.reasons import Refused

DOCUMENT_ISSUES_MAX: Final = 1_000
"""So many are told of one document; of a large bundle that is all wrong, more would help nobody."""


class Verdict(msgspec.Struct, frozen=True):
    """What was found in one document: a file, a member of an archive, or a line."""

    source: str
    index: int | None
    """The line of a file, from 0; None for a whole file."""
    resources: int
    """How many were looked at; a bundle is one more than its entries."""
    issues: tuple[Issue, ...]


def validate_files(
    paths: Sequence[Path], *, limits: Limits | None = None, progress: Progress | None = None
) -> Iterator[Verdict]:
    """Check everything below the paths, one document or line after the other."""
    limits = limits or Limits()
    for source in read_sources(paths, limits=limits, progress=progress or Progress()):
        if isinstance(source, Unreadable):
            yield _refuse(source.name, source.refused)
        else:
            try:
                yield from _validate_source(source, limits)
            except Refused as refused:
                yield _refuse(source.name, refused)


def _validate_source(source: Source, limits: Limits) -> Iterator[Verdict]:
    if source.kind is Kind.DOCUMENT:
        yield _judge(source.name, None, read_document(source, limits))
        return
    for chunk in read_chunks(source.stream, limits):
        for index, line in chunk:
            yield _judge(source.name, index, line)


def _judge(source: str, index: int | None, document: bytes | Refused) -> Verdict:
    """Check one document, or line."""
    issues: list[Issue] = []
    resources = 0
    try:
        if isinstance(document, Refused):
            raise document
        for found in validate_document(document if index is None else compact(document)):
            resources += 1
            issues += found[: DOCUMENT_ISSUES_MAX + 1 - len(issues)]
    except Refused as refused:
        issues.append(state_refusal(refused))
    if len(issues) > DOCUMENT_ISSUES_MAX:
        issues[DOCUMENT_ISSUES_MAX:] = [state_incompleteness(issues[0].path.partition(".")[0])]
    return Verdict(source=source, index=index, resources=resources, issues=tuple(issues))


def _refuse(source: str, refused: Refused) -> Verdict:
    return Verdict(source=source, index=None, resources=0, issues=(state_refusal(refused),))
