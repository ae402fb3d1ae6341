"""How fuzzing damages what was valid: bytes flipped, cut, doubled and put in; JSON bent in place."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

TOKENS: Final = (
    b"null", b"true", b"-1", b"1e999", b"9007199254740993", b'"\\ud800"', b"{}", b"[]", b"[[[[", b'"',
    b"\\", b"\x00", b"\xff", b"\n", b".", b"=", b"NaN", b'{"a":1,"a":2}', b"\xef\xbb\xbf", b"[" * 2_000,
)  # fmt: skip
LEAVES: Final[tuple[object, ...]] = (
    None,
    True,
    -1,
    0,
    2**63,
    1.5,
    "",
    "x" * 5_000,
    "\x00",
    "é",
    [],
    {},
    [[]],
    {"a": {}},
)

Decode = Callable[[bytes], object]


def damage(examples: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Draw valid bytes and damage them, or draw bytes that never meant anything."""
    edits = st.lists(
        st.tuples(st.integers(0, 5), st.integers(0), st.integers(0), st.sampled_from(TOKENS)), max_size=4
    )
    return st.one_of(
        st.builds(_edit, st.sampled_from(examples), edits),
        st.binary(max_size=200),
    )


def bend(examples: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Draw valid JSON in which one value became another, or one name another name."""
    steps = st.lists(st.integers(0, 50), min_size=1, max_size=5)
    return st.builds(_bend, st.sampled_from(examples), steps, st.sampled_from(LEAVES), st.booleans())


def _edit(content: bytes, edits: list[tuple[int, int, int, bytes]]) -> bytes:
    for kind, at, size, token in edits:
        place = at % (len(content) + 1)
        end = place + size % 40
        if kind == 0 and content:
            place %= len(content)
            content = content[:place] + bytes([content[place] ^ 1 << size % 8]) + content[place + 1 :]
        elif kind == 1:
            content = content[:place]
        elif kind == 2:
            content = content[:place] + content[end:]
        elif kind == 3:
            content = content[:place] + token + content[place:]
        elif kind == 4:
            content = content[:place] + token + content[end:]
        else:
            content = content[:end] + content[place:]
    return content


def _bend(content: bytes, steps: list[int], leaf: object, is_renamed: bool) -> bytes:  # noqa: FBT001  drawn
    document = msgspec.json.decode(content)
    node: Any = document
    for depth, step in enumerate(steps):
        keys: list[Any] = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = keys[step % len(keys)]
        if depth < len(steps) - 1 and isinstance(node[key], dict | list):
            node = node[key]
            continue
        if is_renamed and isinstance(node, dict):
            node["odd"] = node.pop(key)
        else:
            node[key] = leaf
        break
    return msgspec.json.encode(document)
