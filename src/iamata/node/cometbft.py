"""Find the program that orders blocks for several validators, and refuse one that we do not know."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from iamata.model.reasons import Reason, Refused, require

COMMAND: Final = "cometbft"
PATCH_MIN: Final = 21
"""Of line 0.38: earlier ones derive a block's time from votes that they have not checked (GO-2026-4361)."""
ANSWER_TIMEOUT_S: Final = 20

_HOW: Final = "build it with `make cometbft`, or put one of line v0.38 on the PATH"
_VERSION: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})\b")


def find_cometbft() -> Path:
    """Return a CometBFT of line v0.38, built beside this Python or else on the PATH, or refuse."""
    beside = Path(sys.executable).with_name(COMMAND)
    found = str(beside) if beside.is_file() else shutil.which(COMMAND)
    if found is None:
        raise Refused(Reason.CONSENSUS_MISSING, f"there is no CometBFT here: {_HOW}")
    check_version(_ask_version(Path(found)))
    return Path(found)


def check_version(said: str) -> None:
    """Refuse every CometBFT but those of line v0.38 that agree on what a vote is worth."""
    match = _VERSION.match(said.strip())
    if match is None:
        raise Refused(Reason.CONSENSUS_MISSING, f"the CometBFT here does not say its version: {_HOW}")
    major, minor, patch = map(int, match.groups())
    name = f"CometBFT v{major}.{minor}.{patch}"
    require(major == 0, Reason.CONSENSUS_MISSING, f"{name} is of a line that was retracted: {_HOW}")
    is_ours = minor == 38 and patch >= PATCH_MIN  # noqa: PLR2004  the line is a name, not a figure
    require(is_ours, Reason.CONSENSUS_MISSING, f"{name} is not v0.38.{PATCH_MIN} or later: {_HOW}")


def _ask_version(program: Path) -> str:
    try:
        answer = subprocess.run(  # noqa: S603  the program that was asked for
            [str(program), "version"], capture_output=True, text=True, check=True, timeout=ANSWER_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(Reason.CONSENSUS_MISSING, f"the CometBFT here does not start: {_HOW}") from error
    return answer.stdout
