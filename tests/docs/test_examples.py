"""Every example runs as it is written."""

import re
import subprocess
import sys
from pathlib import Path


def test_heart_is_learned_from_four_hospitals(root: Path, shared_data: Path) -> None:
    command = [sys.executable, str(root / "examples" / "heart.py"), str(shared_data / "heart-disease")]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  our own

    area = re.search(r"AUROC (0\.\d+)", said)
    assert area is not None
    assert float(area[1]) > 0.85
    assert "of 4 hospitals" in said
