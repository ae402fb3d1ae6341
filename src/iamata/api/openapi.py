"""OpenAPI 3.1, written from the table of routes and the types of their functions."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.responses import Response

from iamata.api.callers import Access
from iamata.api.routes import Route
from iamata.wire.refusals import Problem

TITLE: Final = "Iamata node"
VERSION: Final = "1"
DESCRIPTION: Final = """\
A node of one member. Requests are signed with a key that the ledger knows, by HTTP Message Signatures
(RFC 9421) over `@method`, `@authority`, `@path`, `@query` and, where there is a body, `content-digest`
(RFC 9530, SHA-256); parameters `created`, `expires`, `nonce`, `keyid`, `alg="ed25519"`, `tag="iamata/1"`,
in this order. What serves anyone needs no signature. Every refusal has one shape, `Problem`.
"""
REFERENCE: Final = "#/components/schemas/{name}"

_SIGNED: Final = {"type": "apiKey", "in": "header", "name": "Signature", "description": "RFC 9421"}
_PYTHON_END: Final = re.compile(r"\\Z")


def write_openapi(routes: Sequence[Route]) -> bytes:
    """Write the document."""
    kinds = [Problem]
    for route in routes:
        kinds += [kind for kind in (_find_body(route), _find_answer(route)) if kind is not None]
    unique = list(dict.fromkeys(kinds))
    schemas, components = msgspec.json.schema_components(unique, ref_template=REFERENCE)
    named = dict(zip(unique, schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _describe(route, named)
    document = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"ledgerKey": _SIGNED}},
    }
    return msgspec.json.encode(_spell_patterns(document))


def _describe(route: Route, named: dict[Any, Any]) -> dict[str, Any]:
    answer, body = _find_answer(route), _find_body(route)
    content = {"application/json": {"schema": named[answer]}} if answer else {"text/plain": {}}
    operation: dict[str, Any] = {
        "operationId": route.run.__name__,
        "summary": route.summary,
        "description": f"Serves {route.access.value}.",
        "responses": {
            "200": {"description": "Done.", "content": content},
            "default": {
                "description": "Refused.",
                "content": {"application/json": {"schema": named[Problem]}},
            },
        },
    }
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": named[body]}},
        }
    if "query" in route.types:
        operation["parameters"] = _list_parameters(route.types["query"])
    if route.access not in {Access.ANYONE, Access.MACHINE}:
        operation["security"] = [{"ledgerKey": []}]
    return operation


def _list_parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    return [
        {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": msgspec.json.schema(field.type),
        }
        for field in msgspec.structs.fields(query)
    ]


def _find_body(route: Route) -> Any:  # noqa: ANN401  a type
    return route.types.get("body")


def _find_answer(route: Route) -> Any:  # noqa: ANN401  a type
    answer = route.types["return"]
    return None if answer is Response else answer


def _spell_patterns(document: Any) -> Any:  # noqa: ANN401  JSON
    """Spell the end of a pattern as JSON Schema's dialect of regular expressions does."""
    if isinstance(document, dict):
        return {
            name: _PYTHON_END.sub("$", value) if name == "pattern" else _spell_patterns(value)
            for name, value in document.items()
        }
    return [_spell_patterns(one) for one in document] if isinstance(document, list) else document
