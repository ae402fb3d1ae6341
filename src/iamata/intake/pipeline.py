"""Read records from files into units that go into the vault whole.

What refers to a record that nobody has yet waits, and is read again when all files have been read
once: so the order of files does not matter, and nothing is kept in memory or on disk meanwhile.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from iamata.fhir.describing import Describe, Description, ToDescribe, describe_here
from iamata.fhir.labels import LabelRules
from iamata.fhir.preparing import (
    Batch,
    Fault,
    Known,
    Prepared,
    prepare_document,
    prepare_resources,
    state_fault,
)
from iamata.intake.ahead import Ahead
from iamata.intake.limits import Limits
from iamata.intake.lines import Line, read_chunks
from iamata.intake.progress import Progress
from iamata.intake.sources import (
    Begun,
    Kind,
    Source,
    Unreadable,
    begin_document,
    finish_document,
    read_sources,
)
from iamata.model.reasons import Reason, Refused


class Unit(msgspec.Struct, frozen=True):
    """Records that are kept together or not at all: a bundle's, or a stretch of lines'."""

    source: str
    prepared: tuple[Prepared, ...]
    existing: int
    """Entries that asked for a record that is already there."""


class Problem(msgspec.Struct, frozen=True):
    """What was not read, where it stands, and why. Never what it says."""

    source: str
    index: int | None
    """The entry of a bundle or the line of a file, from 0; None for the whole."""
    reason: Reason
    detail: str


TOO_MANY_WAIT: Final = "too many entries wait for others; import it again"

Key: TypeAlias = tuple[int, str]
"""Which source of a pass, and its name."""
Why: TypeAlias = tuple[Reason, str]
Waiting: TypeAlias = dict[Key, dict[int | None, Why]]
"""The entries of each source that wait, and for what."""


def read_units(  # noqa: PLR0913  where from, and all that it rests on
    paths: Sequence[Path],
    *,
    known: Known,
    rules: LabelRules,
    limits: Limits | None = None,
    progress: Progress | None = None,
    describe: Describe = describe_here,
) -> Iterator[Unit | Problem]:
    """Read everything below the paths.

    By the time that the next unit is asked for, `known` must tell of the records of those given out before.
    """
    intake = _Intake(known, rules, describe, limits or Limits(), progress or Progress())
    yield from intake.read(paths, again=None)
    waiting_before = 0
    while intake.count not in (0, waiting_before):
        waiting_before = intake.count
        yield from intake.read(paths, again=intake.waiting)
    for (_, name), indexes in intake.waiting.items():
        for index, (reason, detail) in indexes.items():
            yield Problem(source=name, index=index, reason=reason, detail=detail)


class _Piece(msgspec.Struct, frozen=True):
    """What is prepared at a time: a document, or a stretch of a source's lines."""

    key: Key
    content: Begun | list[Line] | Refused
    only: frozenset[int] | None
    """The entries to read again; None for all."""


class _Intake:
    """One import: what it reads with, and what still waits."""

    def __init__(
        self, known: Known, rules: LabelRules, describe: Describe, limits: Limits, progress: Progress
    ) -> None:
        self.waiting: Waiting = {}
        self.count = 0
        """Of the entries that wait."""
        self._whys: dict[Why, Why] = {}
        self._known = known
        self._rules = rules
        self._describe = describe
        self._limits = limits
        self._progress = progress

    def read(self, paths: Sequence[Path], *, again: Waiting | None) -> Iterator[Unit | Problem]:
        """Pass over the sources, all of them or those that have to be read again."""
        self.waiting, self.count = {}, 0
        broken: Key | None = None
        pieces = Ahead(self._read_pieces(paths, again))
        for piece in pieces:
            if piece.key == broken:
                continue
            try:
                yield from self._sort_out(piece.key, self._prepare(piece, pieces))
            except Refused as refused:
                broken = piece.key
                yield _state_problem(piece.key[1], state_fault(None, refused))

    def _read_pieces(self, paths: Sequence[Path], again: Waiting | None) -> Iterator[_Piece]:
        """Read piece after piece, or why there is no more of a source."""
        for place, source in enumerate(read_sources(paths, limits=self._limits, progress=self._progress)):
            key, only = (place, source.name), None
            if again is not None:
                if isinstance(source, Unreadable) or key not in again:
                    continue
                only = frozenset(index for index in again[key] if index is not None)
            try:
                yield from (_Piece(key, content, only) for content in self._read_source(source, only))
            except Refused as refused:
                yield _Piece(key, refused, only)

    def _read_source(
        self, source: Source | Unreadable, only: frozenset[int] | None
    ) -> Iterator[Begun | list[Line]]:
        if isinstance(source, Unreadable):
            raise source.refused
        if source.kind is Kind.DOCUMENT:
            yield begin_document(source, self._limits)
        else:
            for chunk in read_chunks(source.stream, self._limits):
                yield chunk if only is None else [line for line in chunk if line[0] in only]

    def _prepare(self, piece: _Piece, pieces: Ahead[_Piece]) -> Batch:
        if isinstance(piece.content, Refused):
            raise piece.content
        describe = partial(self._describe_and_read_on, pieces)
        if isinstance(piece.content, Begun):
            content = finish_document(piece.content, self._limits)
            return prepare_document(
                content, known=self._known, rules=self._rules, only=piece.only, describe=describe
            )
        return prepare_resources(piece.content, known=self._known, rules=self._rules, describe=describe)

    def _describe_and_read_on(
        self, pieces: Ahead[_Piece], questions: Iterable[ToDescribe]
    ) -> Iterator[tuple[ToDescribe, Sequence[Description]]]:
        """Describe what is in one piece; read the next one when another process has the last questions."""
        return self._describe(pieces.fetch_after(questions))

    def _sort_out(self, key: Key, batch: Batch) -> Iterator[Unit | Problem]:
        """Hand on what is ready and what is wrong for good; let the rest wait."""
        if batch.prepared or batch.existing:
            yield Unit(source=key[1], prepared=batch.prepared, existing=batch.existing)
        is_lost = batch.is_whole and not all(fault.is_waiting for fault in batch.faults)
        for fault in batch.faults:
            if fault.is_waiting and not is_lost and self.count < self._limits.waiting_max:
                why = (fault.reason, fault.detail)  # of few kinds, so each is held once
                self.waiting.setdefault(key, {})[fault.index] = self._whys.setdefault(why, why)
                self.count += 1
            elif fault.is_waiting and not is_lost:
                yield _state_problem(key[1], msgspec.structs.replace(fault, detail=TOO_MANY_WAIT))
            else:
                yield _state_problem(key[1], fault)


def _state_problem(source: str, fault: Fault) -> Problem:
    return Problem(source=source, index=fault.index, reason=fault.reason, detail=fault.detail)
