"""Write docs/reference/cli.md from the program's own help, so that the two cannot differ."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from typer.core import TyperGroup

from iamata.cli.main import run
from iamata.cli.nouns import get_commands

REFERENCE: Final = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
COLUMNS: Final = "100"
INTRODUCTION: Final = """\
# Commands

Written by `scripts/make_cli_reference.py` from the program's help; do not edit.

`--json` prints one document on the output; everything else that is said goes to the error stream.
`IAMATA_HOME` stands for `--home`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | `iamata verify` found a fault |
| 2 | the input is wrong, or a part of it: an import goes on with the rest |
| 3 | not permitted |
| 4 | not there, or not for you to know |
| 5 | in conflict with what is there |
| 6 | too late |
| 7 | not now: the disk is full, another process is at it |
| 70 | our bug |

[Every reason](reasons.md) stands behind one of 1 to 7.
"""


def main() -> None:
    """Write the file, or print it with `--print`."""
    text = write_reference()
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(text)
    else:
        REFERENCE.write_text(text, encoding="utf-8")


def write_reference() -> str:
    """Collect the help of every command, in the program's order."""
    os.environ["COLUMNS"] = COLUMNS
    sections = [
        f"{'#' * min(len(names) + 1, 3)} iamata {' '.join(names)}\n\n```text\n{read_help(names)}```\n"
        for names in list_names(get_commands())
        if names
    ]
    return "\n".join([INTRODUCTION, *sections])


def list_names(command: object, *names: str) -> Iterator[tuple[str, ...]]:
    """List groups and commands by their names."""
    yield names
    if isinstance(command, TyperGroup):
        for name, one in command.commands.items():
            yield from list_names(one, *names, name)


def read_help(names: tuple[str, ...]) -> str:
    """Read the help of one command."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        run([*names, "--help"])
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines()) + "\n"


if __name__ == "__main__":
    main()
