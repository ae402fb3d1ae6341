"""Validation of structure, on the resources of the Synthea archive or of a sample in its place."""

import gc
import statistics
import tempfile
from collections.abc import Iterator
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

_BUNDLES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRIES: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def measure() -> dict[str, Figure]:
    """Count the resources that are read and validated in a second, beside those that are only read."""
    with tempfile.TemporaryDirectory(prefix="iamata-bench-") as folder:
        bodies = list(read_bodies(find_source(Path(folder))))
    gc.collect()
    gc.freeze()  # as a long-running importer does; what is measured makes no cycles
    ratios = []
    for _ in range(RUNS):
        read_s = measure_s(lambda: [read_resource(body).codings for body in bodies])
        whole_s = measure_s(lambda: [validate(read_resource(body).elements) for body in bodies])
        ratios.append((len(bodies) / whole_s, len(bodies) / read_s))
    gc.unfreeze()
    rate, floor = statistics.median_low(ratios)
    return {"validate.rate": compare(rate, "resources/s", floor)}


def read_bodies(source: Path) -> Iterator[bytes]:
    """Read the compact resources out of the bundles of an archive or a folder."""
    for document in read_sources([source], limits=Limits(), progress=Progress()):
        if not isinstance(document, Unreadable):
            bundle = _BUNDLES.decode(read_document(document, Limits()))
            for entry in _ENTRIES.decode(bundle["entry"]):
                yield bytes(entry["resource"])
