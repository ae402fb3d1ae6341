"""Cut a stream of NDJSON into chunks of lines, whatever the lines hold."""

from collections.abc import Iterator
from typing import IO

from iamata.intake.limits import Limits
from iamata.intake.streams import broken_is_refused
from iamata.model.reasons import Reason, Refused

Line = tuple[int, bytes | Refused]
"""A line's place, from 0, and its bytes or why it is refused."""


def read_chunks(stream: IO[bytes], limits: Limits) -> Iterator[list[Line]]:
    """Yield the lines that are not blank, so many at a time."""
    chunk: list[Line] = []
    chunk_bytes = 0
    for index, line in _read_lines(stream, limits):
        chunk.append((index, line))
        chunk_bytes += len(line) if isinstance(line, bytes) else 0
        if len(chunk) >= limits.chunk_lines_max or chunk_bytes >= limits.chunk_bytes_max:
            yield chunk
            chunk, chunk_bytes = [], 0
    if chunk:
        yield chunk


def _read_lines(stream: IO[bytes], limits: Limits) -> Iterator[Line]:
    index = 0
    with broken_is_refused():
        while line := stream.readline(limits.line_bytes_max + 1):
            if len(line) > limits.line_bytes_max:
                while line and not line.endswith(b"\n"):
                    line = stream.readline(limits.line_bytes_max)
                yield index, Refused(Reason.INPUT_TOO_LARGE, "a line")
            elif not line.isspace():
                yield index, line
            index += 1
