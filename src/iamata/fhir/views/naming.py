"""Say of which resource something is refused: a table of many would otherwise not tell where to look."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from iamata.model.reasons import Refused

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""What is no id is not repeated: it may be anything (R4, 2.24.0.1)."""


def name_resource(refused: Refused, nodes: Iterable[Any], ask: Callable[[Any], object]) -> Refused:
    """Name the first resource that is refused when it is asked alone; else say what was said."""
    for node in nodes:
        try:
            ask(node)
        except Refused as alone:
            return Refused(alone.reason, f"{alone.detail}, in {_spell(node)}")
    return refused


def _spell(node: dict[str, Any]) -> str:
    name = node.get("id")
    is_id = type(name) is str and _ID.fullmatch(name) is not None
    return f"{node['resourceType']}/{name}" if is_id else f"a resource of type {node['resourceType']}"
