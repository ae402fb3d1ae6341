"""The reference of reasons says one line about each, and about nothing else."""

import re
from pathlib import Path

from iamata.model.reasons import Reason

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "reasons.md"
ROW = re.compile(r"^\| (\d+) \| ([A-Z_]+) \| (\S.*\.) \|$", re.MULTILINE)


def test_every_reason_has_one_line_under_its_number_in_order() -> None:
    rows = ROW.findall(REFERENCE.read_text(encoding="utf-8"))

    assert [(int(number), name) for number, name, _ in rows] == [(int(one), one.name) for one in Reason]
