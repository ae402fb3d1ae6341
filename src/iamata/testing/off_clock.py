"""A CometBFT whose clock is off: the pinned one, with a shift in the one function that tells it the time.

Its program reads the time from the kernel by itself, so it cannot be told otherwise from outside. Building
it takes the machine's Go and some seconds, once `make cometbft` has filled Go's cache.
"""

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Final

from iamata.node.supervising import Program
from iamata.testing.running import COMET, NODE

MODULE: Final = "github.com/cometbft/cometbft"
CLOCK_FILE: Final = Path("types/time/time.go")
SHIFT: Final = "TEST_CLOCK_SHIFT"
"""The variable from which the changed program takes its shift, as Go spells durations."""

_TRUE: Final = "return Canonical(time.Now())"
_SHIFTED: Final = "return Canonical(time.Now().Add(shift))"
_READ: Final = f'\nvar shift, _ = time.ParseDuration(os.Getenv("{SHIFT}"))\n'


def build_off_clock(tools: Path, folder: Path) -> Path:
    """Build it from the module that `tools` pins, and return the program."""
    asked = ["go", "list", "-m", "-f", "{{.Dir}}", MODULE]
    found = subprocess.run(asked, cwd=tools, check=True, capture_output=True, text=True)  # noqa: S603
    source = folder / "source"
    shutil.copytree(found.stdout.strip(), source, copy_function=shutil.copyfile)
    for one in (source, *source.rglob("*/")):
        one.chmod(0o700)
    clock = source / CLOCK_FILE
    text = clock.read_text()
    assert text.count(_TRUE) == 1  # noqa: S101  the clock is what we know
    text = text.replace(_TRUE, _SHIFTED).replace("import (", 'import (\n\t"os"') + _READ
    clock.write_text(text)
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(tools / name, folder / name)
    program = folder / COMET
    for command in (
        ["go", "mod", "edit", "-replace", f"{MODULE}=./source"],
        ["env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", str(program), f"{MODULE}/cmd/cometbft"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603
    shutil.rmtree(source)
    return program


def put_off(program: Program, off_clock: Path, shift_s: int) -> Program:
    """Say how to start a home's program with its clock off."""
    if program.name == NODE:
        code = f"from iamata.testing.rogue import shift_clock; shift_clock({shift_s})"
        at = program.arguments.index("-c") + 1
        return dataclasses.replace(
            program, arguments=(*program.arguments[:at], code, *program.arguments[at + 1 :])
        )
    return dataclasses.replace(
        program,
        arguments=(str(off_clock), *program.arguments[1:]),
        environment={**program.environment, SHIFT: f"{shift_s}s"},
    )
