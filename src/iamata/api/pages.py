"""The one page that a node shows: its routes, for people, without anything from elsewhere."""

import html
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.responses import HTMLResponse

from iamata.api.openapi import DESCRIPTION, TITLE
from iamata.api.routes import Route

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
_STYLE: Final = """
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
:root{color-scheme:light dark}
h2{font:600 1rem ui-monospace,monospace;margin:2rem 0 .25rem} code{font-family:ui-monospace,monospace}
dl{margin:0 0 0 1.5rem} dt{font-family:ui-monospace,monospace} dd{margin:0 0 .25rem 1.5rem}
"""


def write_page(routes: Sequence[Route]) -> HTMLResponse:
    """Write the page of routes."""
    parts = "".join(map(_describe, routes))
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{TITLE}</title>'
        f"<style>{_STYLE}</style><h1>{TITLE}</h1><p>{_spell(DESCRIPTION)}</p>"
        f'<p>For programs: <a href="openapi.json">openapi.json</a>.</p>{parts}</html>'
    )
    return HTMLResponse(text, headers=HEADERS)


def _describe(route: Route) -> str:
    kinds = route.types
    fields = "".join(
        f"<dt>{html.escape(field.encode_name)}</dt><dd>{_spell_need(field)}</dd>"
        for name in ("query", "body")
        if name in kinds
        for field in msgspec.structs.fields(kinds[name])
    )
    return (
        f"<h2>{html.escape(route.name)}</h2><p>{html.escape(route.summary)} "
        f"Serves {html.escape(route.access.value)}.</p><dl>{fields}</dl>"
    )


def _spell_need(field: Any) -> str:  # noqa: ANN401  msgspec's field
    return "needed" if field.required else f"otherwise {html.escape(str(field.default))}"


def _spell(text: str) -> str:
    pieces = html.escape(text).split("`")
    return "".join(f"<code>{one}</code>" if place % 2 else one for place, one in enumerate(pieces))
