"""Run benches by name, or those that are quick and need no CometBFT: `python -m bench [ledger state …]`.

With `--seconds N` what is sustained lasts so long, as a trial; its figures are shown and not kept.
"""

import argparse
import functools
import sys
from typing import Final

from bench import (
    fhirpath,
    http,
    learning,
    ledger,
    records,
    secure_sum,
    state,
    study,
    validation,
    verify,
    views,
)
from bench.comet import network
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
    "study": study.measure,
    "comet": network.measure,
}
"""Append only: one line for each module beside this one."""
APART: Final = ("comet", "learning", "secure_sum", "study")
"""What needs CometBFT, or many minutes: run by name."""


def main(arguments: list[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []])
    parser.add_argument(
        "--seconds", type=float, help="how long the comet bench sustains its load, as a trial"
    )
    options = parser.parse_args(arguments)
    benches = {**BENCHES}
    if options.seconds is not None:
        benches["comet"] = functools.partial(network.measure, options.seconds)
    figures: dict[str, Figure] = {}
    for name in options.names or [one for one in BENCHES if one not in APART]:
        print(f"{name} …", file=sys.stderr, flush=True)
        figures |= benches[name]()
    if options.seconds is None:
        keep(figures)
    print(format_table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
