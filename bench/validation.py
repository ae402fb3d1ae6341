"""Validation of structure, on the resources of the Synthea archive or of a sample in its place."""

import gc
import statistics
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bench.harness import RUNS, Figure, compare, measure_s
from bench.records import find_source
from iamata.fhir.resources import read_resource
from iamata.fhir.validation.checking import validate
from iamata.intake.limits import Limits
from iamata.intake.progress import Progress
from iamata.intake.sources import Unreadable, read_document, read_sources

CHUNK: Final = 200

_BUNDLES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRIES: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def measure() -> dict[str, Figure]:
    """Count the resources that are read and validated in a second, beside those that are only read."""
    with tempfile.TemporaryDirectory(prefix="iamata-bench-") as folder:
        bodies = list(read_bodies(find_source(Path(folder))))
    gc.collect()
    gc.freeze()  # as a long-running importer does; what is measured makes no cycles
    runs = [measure_run(bodies) for _ in range(RUNS)]
    gc.unfreeze()
    rate, floor = statistics.median_low(runs)
    return {"validate.rate": compare(rate, "resources/s", floor)}


def measure_run(bodies: list[bytes]) -> tuple[float, float]:
    """Return both rates, taken in turns, so that neither has the busier moments of the machine."""
    read_s = whole_s = 0.0
    for begin in range(0, len(bodies), CHUNK):
        chunk = bodies[begin : begin + CHUNK]
        read_s += measure_s(partial(read_all, chunk))
        whole_s += measure_s(partial(validate_all, chunk))
    return len(bodies) / whole_s, len(bodies) / read_s


def read_all(bodies: list[bytes]) -> None:
    """Read resources, as an import does."""
    for body in bodies:
        read_resource(body)


def validate_all(bodies: list[bytes]) -> None:
    """Read resources and validate them."""
    for body in bodies:
        validate(read_resource(body).elements)


def read_bodies(source: Path) -> Iterator[bytes]:
    """Read the compact resources out of the bundles of an archive or a folder."""
    for document in read_sources([source], limits=Limits(), progress=Progress()):
        if not isinstance(document, Unreadable):
            bundle = _BUNDLES.decode(read_document(document, Limits()))
            for entry in _ENTRIES.decode(bundle["entry"]):
                yield bytes(entry["resource"])
