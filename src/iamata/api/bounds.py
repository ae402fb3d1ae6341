"""Reading a request no further than its limits: so many bytes, in so many seconds."""

import asyncio
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from iamata.api import limits
from iamata.model.reasons import Reason, Refused, require
from iamata.wire.decoding import get_decoder
from iamata.wire.signatures import Message

KindT = TypeVar("KindT")
_SEPARATOR = ", "


async def read_body(request: Request, *, bytes_max: int) -> bytes:
    """Read a body, or refuse one that is too long or too slow."""
    announced = request.headers.get("content-length", "0")
    is_short = announced.isdecimal() and int(announced) <= bytes_max
    require(is_short, Reason.TOO_LARGE, f"a body of more than {bytes_max} bytes")
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.BODY_S_MAX):
            async for part in request.stream():
                size += len(part)
                require(size <= bytes_max, Reason.TOO_LARGE, f"a body of more than {bytes_max} bytes")
                parts.append(part)
    except (TimeoutError, ClientDisconnect) as error:
        raise Refused(Reason.TOO_SLOW) from error
    return b"".join(parts)


def read_message(request: Request) -> Message:
    """Return the parts of a request that a signature may cover, as they were sent, or refuse too many."""
    head = [*request.scope["headers"], (request.scope["path"].encode(), request.scope["query_string"])]
    size = sum(len(name) + len(value) for name, value in head)
    require(size <= limits.HEAD_BYTES_MAX, Reason.TOO_LARGE, "the head of a request")
    fields: dict[str, str] = {}
    for name, value in request.headers.items():
        fields[name] = f"{fields[name]}{_SEPARATOR}{value}" if name in fields else value
    return Message(
        method=request.method,
        authority=fields.get("host", ""),
        path=request.scope.get("raw_path", request.url.path.encode()).decode("latin-1"),
        query=request.scope["query_string"].decode("latin-1"),
        fields=fields,
    )


def decode_body(body: bytes, kind: type[KindT]) -> KindT:
    """Parse a body into its type, or refuse it."""
    try:
        return get_decoder(kind).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "the body") from error


def decode_query(request: Request, kind: type[KindT]) -> KindT:
    """Parse a query into its type, or refuse it; no name may come twice."""
    pairs = request.query_params.multi_items()
    named: dict[str, Any] = dict(pairs)
    require(len(named) == len(pairs), Reason.MALFORMED, "the query")
    try:
        return msgspec.convert(named, kind, strict=False)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise Refused(Reason.MALFORMED, "the query") from error
