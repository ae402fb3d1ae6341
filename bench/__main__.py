"""Run benches by name, or all of them: `python -m bench [ledger state verify …]`."""

import sys

from bench import (
    fhirpath,
    http,
    learning,
    ledger,
    records,
    secure_sum,
    state,
    validation,
    verify,
    views,
)
from bench.harness import Bench, Figure, format_table, keep

BENCHES: dict[str, Bench] = {
    "ledger": ledger.measure,
    "state": state.measure,
    "verify": verify.measure,
    "records": records.measure,
    "validation": validation.measure,
    "http": http.measure,
    "fhirpath": fhirpath.measure,
    "views": views.measure,
    "learning": learning.measure,
    "secure_sum": secure_sum.measure,
}
"""Append only: one line for each module beside this one."""


def main(names: list[str]) -> int:
    """Measure, print, keep."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    figures: dict[str, Figure] = {}
    for name in names or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        figures |= BENCHES[name]()
    keep(figures)
    print(format_table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
