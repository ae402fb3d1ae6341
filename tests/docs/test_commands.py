"""Every command that a document shows runs as written, in the order in which a reader meets it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from documents import find_console_blocks, find_documents, find_files, find_needs, name_document

COMMAND_S_MAX: Final = 180
DOCUMENTS: Final = [
    path
    for path in find_documents()
    if any(block.not_run is None for block in find_console_blocks(path.read_text(encoding="utf-8")))
]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one command in a folder, with this environment's programs first on the path."""
    bash = shutil.which("bash")
    assert bash is not None
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(  # noqa: S603  the project's own documents
        [bash, "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path, "HOME": str(folder), "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=COMMAND_S_MAX,
    )


@contextlib.contextmanager
def stopping_what_was_left(folder: Path) -> Iterator[None]:
    """End what a document has started in the background, where a command before the end has failed."""
    try:
        yield
    finally:
        for file in folder.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("path", DOCUMENTS, ids=name_document)
def test_every_command_runs_as_written(
    path: Path, tmp_path: Path, require_part: Callable[[str], Path], request: pytest.FixtureRequest
) -> None:
    text = path.read_text(encoding="utf-8")
    for need in find_needs(text):
        if "/" in need:
            data: Path = request.getfixturevalue("shared_data")
            (tmp_path / Path(need).name).symlink_to(data / need)
        else:
            require_part(need)
    for name, content in find_files(text).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with stopping_what_was_left(tmp_path):
        run_all(path, text, tmp_path)


def run_all(path: Path, text: str, folder: Path) -> None:
    for block in find_console_blocks(text):
        for command in block.commands if block.not_run is None else ():
            result = run(command, folder)
            assert result.returncode == 0, f"{name_document(path)}:{block.line}: {command}\n{result.stderr}"


def test_no_block_of_commands_is_without_one() -> None:
    empty = [
        f"{name_document(path)}:{block.line}"
        for path in find_documents()
        for block in find_console_blocks(path.read_text(encoding="utf-8"))
        if not block.commands
    ]

    assert empty == []


def test_a_block_is_read_as_a_reader_reads_it() -> None:
    text = "Say:\n\n```console\n$ echo one \\\n    two\none two\n$ true\n```\n"

    (block,) = find_console_blocks(text)

    assert block.line == 3
    assert block.commands == ("echo one \\\n    two", "true")
    assert block.not_run is None


def test_a_block_that_is_not_run_says_why() -> None:
    text = "<!-- not run: it takes an hour -->\n```console\n$ sleep 3600\n```\n\n```console\n$ true\n```\n"

    first, second = find_console_blocks(text)

    assert first.not_run == "it takes an hour"
    assert second.not_run is None


def test_a_file_and_what_is_needed_are_read_as_a_reader_reads_them() -> None:
    text = (
        "<!-- file: a.json -->\n```json\n{}\n```\n\n<!-- needs: folder/b.zip -->\n```console\n$ true\n```\n"
    )

    assert find_files(text) == {"a.json": "{}\n"}
    assert find_needs(text) == ["folder/b.zip"]
    assert [block.commands for block in find_console_blocks(text)] == [("true",)]


def test_a_block_inside_a_list_is_read_too() -> None:
    (block,) = find_console_blocks("1. Do:\n\n   ```console\n   $ true\n   ```\n")

    assert block.commands == ("true",)


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    assert run("false | cat", tmp_path).returncode == 1
    assert run("echo one \\\n    two", tmp_path).stdout == "one two\n"
