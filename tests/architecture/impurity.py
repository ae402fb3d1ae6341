"""Find in a syntax tree what the pure packages must not contain, and what no import shows.

Replicas agree because the rules ask nothing of the machine that they run on: no clock, no chance, no
files, no floats (their last digit is the platform's), and no order that a hash seed decides. Sets are
allowed as constants that `in` asks, never built or walked: `{…}` to the right of `in`, and
`NAME: Final = frozenset(…)` at the top of a module.
"""

import ast
from collections.abc import Collection, Iterator
from typing import Final

from sources import find_imports, is_within

Finding = tuple[int, str]
"""A line, and the word for what stands there."""

MODULES: Final = {
    "clock": ("time", "sched"),
    "chance": ("random", "secrets", "uuid", "os.urandom", "numpy.random"),
    "environment": ("os", "sys", "platform", "locale", "getpass"),
    "input or output": (
        "io",
        "pathlib",
        "shutil",
        "socket",
        "sqlite3",
        "subprocess",
        "tempfile",
        "logging",
    ),
    "concurrency": ("asyncio", "concurrent", "multiprocessing", "queue", "threading"),
}
CALLS: Final = {
    "open": "input or output",
    "print": "input or output",
    "input": "input or output",
    "hash": "hash()",
    "id": "id()",
    "eval": "eval",
    "exec": "eval",
}
ATTRIBUTES: Final = {
    "now": "clock",
    "utcnow": "clock",
    "today": "clock",
    "urandom": "chance",
    "environ": "environment",
    "getenv": "environment",
    "read_text": "input or output",
    "read_bytes": "input or output",
}
_SET_OPERATORS: Final = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.Sub)
_VIEWS: Final = ("keys", "items")


def find_impurities(tree: ast.Module, constants: Collection[str]) -> Iterator[Finding]:
    """Name what is impure; `constants` are the frozen sets of the pure packages, as `module.NAME`."""
    for module, line in find_imports(tree):
        yield from (
            (line, what) for what, banned in MODULES.items() if any(is_within(module, b) for b in banned)
        )
    own = _find_constants(tree)
    names = {name.rpartition(".")[2] for name, _ in find_imports(tree) if name in constants} | own.keys()
    fine = {id(right) for node in ast.walk(tree) for right in _find_asked(node)}
    fine |= {id(part) for definition in own.values() for part in ast.walk(definition)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        yield from ((line, what) for what in _judge_statement(node))
        yield from ((line, what) for what in _judge_name(node))
        if id(node) not in fine:
            yield from ((line, what) for what in _judge_set(node, names))


def find_set_constants(tree: ast.Module, module: str) -> frozenset[str]:
    """Name the frozen sets that a module defines at its top, as `module.NAME`."""
    return frozenset(f"{module}.{name}" for name in _find_constants(tree))


def _judge_statement(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Assert():
            yield "assert"
        case ast.ExceptHandler(type=None | ast.Name(id="Exception" | "BaseException")):
            yield "except Exception"
        case ast.Constant(value=float() | complex()):
            yield "float"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            yield "true division"


def _judge_name(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield CALLS[name]
        case ast.Name(id="float"):
            yield "float"
        case ast.Attribute(attr=name) if name in ATTRIBUTES:
            yield ATTRIBUTES[name]


def _judge_set(node: ast.AST, constants: Collection[str]) -> Iterator[str]:
    match node:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
            yield "set"
        case ast.Name(id=name, ctx=ast.Load()) if name in constants:
            yield "set"
        case ast.BinOp(op=operator, left=left, right=right) if isinstance(operator, _SET_OPERATORS):
            if _is_view(left) or _is_view(right):
                yield "set"


def _is_view(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _VIEWS


def _find_asked(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what stands to the right of `in`."""
    if isinstance(node, ast.Compare):
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.In | ast.NotIn):
                yield right


def _find_constants(tree: ast.Module) -> dict[str, ast.Call]:
    found = {}
    for statement in tree.body:
        match statement:
            case ast.AnnAssign(
                target=ast.Name(id=name), value=ast.Call(func=ast.Name(id="frozenset")) as call
            ):
                found[name] = call
    return found
