"""The reference of commands is what the program itself says."""

import subprocess
import sys

from documents import ROOT


def test_the_reference_is_the_programs_own_help() -> None:
    script = ROOT / "scripts" / "make_cli_reference.py"
    program = f"import runpy, sys; sys.path[:0] = {sys.path!r}; sys.argv[1:] = ['--print']; "
    program += f"runpy.run_path({str(script)!r}, run_name='__main__')"

    printed = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    ).stdout

    reference = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert printed == reference, "run scripts/make_cli_reference.py"
