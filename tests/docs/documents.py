"""The project's documents, and the commands in them."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

_BLOCK: Final = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]*?) -->\n+|<!-- needs: [^\n]*? -->\n+)?"
    r"^(?P<indent> *)```console\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_FILE: Final = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS: Final = re.compile(r"^<!-- needs: (\S+) -->$", re.MULTILINE)
_PROMPT: Final = "$ "
_CONTINUED: Final = "\\"


@dataclass(frozen=True)
class ConsoleBlock:
    """A block of commands, as a reader would type them, without what they print."""

    line: int
    commands: tuple[str, ...]
    not_run: str | None
    """Why the tests do not run it, where they do not."""


def find_needs(text: str) -> list[str]:
    """List what a document says it needs: system parts by their commands, published data by its path."""
    return _NEEDS.findall(text)


def find_documents() -> list[Path]:
    """List the documents that a reader may follow: those at the top, and all below docs."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name_document(path: Path) -> str:
    """Name a document as people do, from the checkout."""
    return path.relative_to(ROOT).as_posix()


def find_console_blocks(text: str) -> list[ConsoleBlock]:
    """Read the console blocks of a document: a line that starts with `$ ` is a command, others are not."""
    return [
        ConsoleBlock(
            line=text.count("\n", 0, match.start("body")),
            commands=_read_commands(match["body"]),
            not_run=match["reason"],
        )
        for match in _BLOCK.finditer(text)
    ]


def find_files(text: str) -> dict[str, str]:
    """Find the files that a document tells its reader to save, by their names."""
    return dict(_FILE.findall(text))


def _read_commands(body: str) -> tuple[str, ...]:
    commands: list[str] = []
    is_continued = False
    for line in textwrap.dedent(body).splitlines():
        if is_continued:
            commands[-1] += f"\n{line}"
        elif line.startswith(_PROMPT):
            commands.append(line.removeprefix(_PROMPT))
        else:
            continue
        is_continued = line.endswith(_CONTINUED)
    return tuple(commands)
