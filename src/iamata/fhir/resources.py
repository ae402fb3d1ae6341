"""Read one resource from its bytes, check the least that every record must have, and keep it exact.

A stored body keeps every token as it was spelled, so `1.50` stays `1.50`: the tree made here, in which
it is a Decimal of that precision, serves to look at the resource and is never written back.
FHIR R4: 2.6.2 (JSON), 2.24.0.14 (ids).
"""

import codecs
import json
import re
from typing import Final, NoReturn

import msgspec

from iamata.fhir.definitions import is_resource_type
from iamata.fhir.exact import RESOURCE_BYTES_MAX, read_exact
from iamata.model.canonical import Json
from iamata.model.reasons import Reason, Refused, require

RESOURCE_DEPTH_MAX: Final = 64

NOT_RECORDS: Final = ("Bundle", "Parameters")
"""Envelopes: what is inside could belong to anybody, so they are opened or refused, never stored."""

Tree = dict[str, Json]
Coding = tuple[str, str]
"""The system and the code."""
Identifier = tuple[str, str]
"""The system (empty where there is none) and the value."""

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


class Head(msgspec.Struct, frozen=True, gc=False, rename={"resource_type": "resourceType"}):
    """The few elements that say which resource this is, read without building the rest."""

    resource_type: str
    id: str | None = None
    identifier: msgspec.Raw = msgspec.Raw()


class Resource(msgspec.Struct, frozen=True):
    """A resource to look at: its elements, decimals exact, and every coding that stands anywhere in it."""

    elements: Tree
    codings: tuple[Coding, ...]


_HEADS: Final = msgspec.json.Decoder(Head)


def compact(raw: bytes) -> bytes:
    """Drop the white space between tokens and keep each token as it was spelt; refuse what is not JSON."""
    try:
        return msgspec.json.format(raw.removeprefix(codecs.BOM_UTF8), indent=-1)
    except RecursionError as error:
        raise Refused(Reason.INPUT_TOO_DEEP) from error
    except msgspec.DecodeError as error:
        raise Refused(Reason.RESOURCE_INVALID, "not JSON") from error


def read_type(content: bytes) -> str:
    """Read what a document calls itself, which need not be a type that FHIR knows."""
    return _decode_head(content).resource_type


def read_head(body: bytes) -> Head:
    """Read the type and the id of a resource, or refuse what cannot be a record."""
    require(len(body) <= RESOURCE_BYTES_MAX, Reason.INPUT_TOO_LARGE)
    head = _decode_head(body)
    require(is_resource_type(head.resource_type), Reason.RESOURCE_INVALID, "unknown resourceType")
    require(head.resource_type not in NOT_RECORDS, Reason.RESOURCE_INVALID, "an envelope inside")
    require(head.id is None or is_id(head.id), Reason.RESOURCE_INVALID, "malformed id")
    return head


def read_resource(body: bytes) -> Resource:
    """Read a compact body whole, or refuse it for its size, its depth or keys that stand twice."""
    elements = read_exact(body)
    keys, codings = _survey(elements)
    # In compact JSON every key ends in `":`, so equal counts prove that no key was swallowed by its
    # twin. A string may hold those two bytes as well; only then is the slow, exact reader asked.
    if keys != body.count(b'":'):
        _refuse_duplicates(body)
    return Resource(elements=elements, codings=tuple(dict.fromkeys(codings)))  # type: ignore[arg-type]


def is_id(text: str) -> bool:
    """Tell whether a text is a FHIR id."""
    return _ID.fullmatch(text) is not None


def read_identifiers(raw: msgspec.Raw) -> tuple[Identifier, ...]:
    """List a resource's business identifiers; a malformed one identifies nothing."""
    if not memoryview(raw):
        return ()
    try:
        element = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.RESOURCE_INVALID, "not JSON") from error
    found = []
    for identifier in element if isinstance(element, list) else [element]:
        if isinstance(identifier, dict) and isinstance(value := identifier.get("value"), str):
            system = identifier.get("system", "")
            found.append((system if isinstance(system, str) else "", value))
    return tuple(found)


def _decode_head(body: bytes) -> Head:
    try:
        return _HEADS.decode(body)
    except RecursionError as error:
        raise Refused(Reason.INPUT_TOO_DEEP) from error
    except ValueError as error:
        raise Refused(Reason.RESOURCE_INVALID, "not a resource") from error


def _survey(elements: dict[str, object]) -> tuple[int, list[Coding]]:
    """Count the keys and collect the codings, level by level, no deeper than a resource may be."""
    keys = depth = 0
    codings: list[Coding] = []
    level: list[object] = [elements]
    while level:
        depth += 1
        require(depth <= RESOURCE_DEPTH_MAX, Reason.INPUT_TOO_DEEP)
        below: list[object] = []
        for node in level:
            children = node
            if type(node) is dict:
                keys += len(node)
                if (
                    "code" in node
                    and type(system := node.get("system")) is str
                    and type(node["code"]) is str
                ):
                    codings.append((system, node["code"]))
                children = node.values()
            for child in children:  # type: ignore[attr-defined]
                kind = type(child)
                if kind is dict or kind is list:
                    below.append(child)
        level = below
    return keys, codings


def _refuse_duplicates(body: bytes) -> None:
    json.loads(
        body, object_pairs_hook=_require_distinct, parse_int=str, parse_float=str, parse_constant=_refuse
    )


def _require_distinct(pairs: list[tuple[str, object]]) -> None:
    require(len(dict(pairs)) == len(pairs), Reason.RESOURCE_INVALID, "a key stands twice")


def _refuse(_: str) -> NoReturn:
    raise Refused(Reason.RESOURCE_INVALID, "not JSON")
