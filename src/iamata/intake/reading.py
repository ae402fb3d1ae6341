"""Read the resources of one type from files, folders and archives, a chunk at a time, to look at them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from iamata.fhir import reading
from iamata.fhir.exact import Exact, Read, read_exact
from iamata.fhir.preparing import Fault, state_fault
from iamata.fhir.reading import Found
from iamata.intake.limits import Limits
from iamata.intake.lines import read_chunks
from iamata.intake.pipeline import Problem
from iamata.intake.progress import Progress
from iamata.intake.sources import Kind, Source, Unreadable, read_document, read_sources
from iamata.intake.streams import broken_is_refused
from iamata.model.reasons import Refused

TOGETHER: Final = 1_000
"""Resources in one chunk."""

Chunk: TypeAlias = list[Exact]


def read_resources(
    paths: Sequence[Path],
    resource_type: str,
    *,
    limits: Limits,
    progress: Progress,
    read: Read = read_exact,
) -> Iterator[Chunk | Problem]:
    """Read everything below the paths; what cannot be read is named, and the rest goes on."""
    for source in read_sources(paths, limits=limits, progress=progress):
        if isinstance(source, Unreadable):
            yield _state_problem(source.name, state_fault(None, source.refused))
            continue
        try:
            yield from _gather(source.name, _read(source, resource_type, limits, read))
        except Refused as refused:
            yield _state_problem(source.name, state_fault(None, refused))


def _read(source: Source, resource_type: str, limits: Limits, read: Read) -> Iterator[Found]:
    if source.kind is Kind.DOCUMENT:
        yield from reading.read_document(read_document(source, limits), resource_type, read)
        return
    chunks = read_chunks(source.stream, limits)
    while True:
        with broken_is_refused():
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield from reading.read_lines(chunk, resource_type, read)


def _gather(name: str, found: Iterator[Found]) -> Iterator[Chunk | Problem]:
    while some := list(islice(found, TOGETHER)):
        yield from (_state_problem(name, one) for one in some if isinstance(one, Fault))
        chunk = [one for one in some if not isinstance(one, Fault)]
        if chunk:
            yield chunk


def _state_problem(source: str, fault: Fault) -> Problem:
    return Problem(source=source, index=fault.index, reason=fault.reason, detail=fault.detail)
