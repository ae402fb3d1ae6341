"""Read a bundle's envelope: which entries it has, what each asks for, and what its record is called.

The envelope is read once and never stored, so a key that stands twice in it cannot mean two things to
two readers: the last one counts. R4 2.36 (Bundle), 3.1.0.11 (transaction and batch).
"""

import hashlib
import re
from typing import Final

import msgspec

from iamata.fhir.resources import Head, Identifier, compact, is_id, read_head, read_identifiers
from iamata.model.reasons import Reason, Refused, require

BUNDLE_COMMAS_MAX: Final = 2_000_000
"""Bounds the memory of an envelope whose entries say nothing; 64 MiB of Synthea hold 1.4 million."""
BUNDLE_ENTRIES_MAX: Final = 100_000

ALONE: Final = ("batch", "searchset")
WHOLE: Final = ("transaction", "collection", "document", "message")

_UUID_URL: Final = re.compile(r"urn:uuid:([A-Za-z0-9\-.]{1,64})", re.ASCII)
_REST_URL: Final = re.compile(
    r"(https?://.*/)[A-Za-z]+/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)


class Bundle(msgspec.Struct, frozen=True, gc=False):
    """A bundle with its entries still closed, so that each can fail on its own."""

    type: str
    entry: list[msgspec.Raw] = []

    @property
    def is_whole(self) -> bool:
        """Tell whether one bad entry spoils all."""
        return self.type in WHOLE


class Request(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What an entry of a transaction or batch asks for."""

    method: str = "POST"
    url: str = ""
    if_none_exist: str | None = None


class Search(msgspec.Struct, frozen=True, gc=False):
    """Why an entry is in a result."""

    mode: str = "match"


class Entry(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One entry, its resource still closed."""

    full_url: str = ""
    resource: msgspec.Raw = msgspec.Raw()
    request: Request | None = None
    search: Search | None = None


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record to be: what it is called and its bytes, before its references are resolved."""

    index: int
    head: Head
    resource_id: str
    body: bytes
    identifiers: tuple[Identifier, ...]
    full_url: str
    base: str
    """The address of the server that the references are relative to; empty where there is none."""
    condition: str | None
    """A search that must find nothing, or the record that it finds is meant instead."""


_BUNDLES: Final = msgspec.json.Decoder(Bundle)
_ENTRIES: Final = msgspec.json.Decoder(Entry)


def read_bundle(content: bytes) -> Bundle:
    """Open the envelope of a compact bundle."""
    require(content.count(b",") <= BUNDLE_COMMAS_MAX, Reason.INPUT_TOO_LARGE, "too many elements")
    try:
        bundle = _BUNDLES.decode(content)
    except RecursionError as error:
        raise Refused(Reason.INPUT_TOO_DEEP) from error
    except ValueError as error:
        raise Refused(Reason.RESOURCE_INVALID, "not a bundle") from error
    require(len(bundle.entry) <= BUNDLE_ENTRIES_MAX, Reason.INPUT_TOO_LARGE, "too many entries")
    require(
        bundle.type in ALONE or bundle.type in WHOLE, Reason.RESOURCE_INVALID, "a bundle of no use here"
    )
    return bundle


def draft_entry(index: int, raw: msgspec.Raw) -> Draft | None:
    """Read one entry; None for a search result's remark about itself."""
    try:
        entry = _ENTRIES.decode(raw)
    except RecursionError as error:
        raise Refused(Reason.INPUT_TOO_DEEP) from error
    except ValueError as error:
        raise Refused(Reason.RESOURCE_INVALID, "not an entry") from error
    if entry.search is not None and entry.search.mode == "outcome":
        return None
    return _draft(index, bytes(entry.resource), entry.full_url, entry.request)


def draft_resource(index: int, text: bytes | Refused) -> Draft:
    """Read a resource that stands alone, in a file or on a line of its own."""
    if isinstance(text, Refused):
        raise text
    return _draft(index, compact(text), "", None)


def _draft(index: int, body: bytes, full_url: str, request: Request | None) -> Draft:
    head = read_head(body)
    rest = _REST_URL.fullmatch(full_url)
    named, condition = (None, None) if request is None else _read_request(head, request)
    return Draft(
        index=index,
        head=head,
        resource_id=named or head.id or _name(full_url, head, body),
        body=body,
        identifiers=read_identifiers(head.identifier),
        full_url=full_url,
        base=rest[1] if rest else "",
        condition=condition,
    )


def _read_request(head: Head, request: Request) -> tuple[str | None, str | None]:
    """Read what is asked for: the id that a PUT names, and the search that decides about a POST."""
    address, _, search = request.url.partition("?")
    resource_type, _, resource_id = address.strip("/").partition("/")
    require(
        resource_type in ("", head.resource_type), Reason.RESOURCE_INVALID, "request and resource differ"
    )
    if request.method == "POST":
        query = request.if_none_exist
        return None, None if query is None else f"{head.resource_type}?{query.removeprefix('?')}"
    require(request.method == "PUT", Reason.RESOURCE_INVALID, "only POST and PUT bring records")
    if search:
        raise Refused(Reason.RESOURCE_INVALID, "a conditional update")
    require(is_id(resource_id), Reason.RESOURCE_INVALID, "malformed id")
    require(head.id in (None, resource_id), Reason.RESOURCE_INVALID, "request and resource differ")
    return resource_id, None


def _name(full_url: str, head: Head, body: bytes) -> str:
    """Name a resource that has no id, so that the same source gives the same name again."""
    if match := _UUID_URL.fullmatch(full_url):
        return match[1]
    return hashlib.sha256(head.resource_type.encode() + b"/" + body).hexdigest()[:32]
