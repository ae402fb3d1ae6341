"""Views of SQL-on-FHIR: eight columns of 100,000 observations, in memory and out of a vault.

The observations are those of the Synthea archive, or of a sample, as often as it takes; each is a tree,
or a record, of its own.
"""

import gc
import itertools
import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.harness import RUNS, Figure, compare, measure_s
from bench.records import BODY_BYTES_MAX, MEMBER, find_source, register_clinician
from iamata.fhir.exact import Exact, read_exact
from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import read_view
from iamata.intake.limits import Limits
from iamata.intake.pipeline import Problem
from iamata.intake.progress import Progress
from iamata.intake.reading import read_resources
from iamata.ledger.entries import MemberKind
from iamata.node.home import create_home, open_home
from iamata.node.importing import import_files
from iamata.node.tabulating import tabulate_records
from iamata.vault.envelopes import compress, decompress

RESOURCES: Final = 100_000
PATIENTS: Final = 500
COLUMNS: Final = (
    ("id", "getResourceKey()", "string"),
    ("status", "status", "code"),
    ("patient", "subject.getReferenceKey(Patient)", "string"),
    ("code", "code.coding.where(system = 'http://loinc.org').code.first()", "code"),
    ("display", "code.coding.first().display", "string"),
    ("effective", "effective.ofType(dateTime)", "dateTime"),
    ("value", "value.ofType(Quantity).value", "decimal"),
    ("unit", "value.ofType(Quantity).unit", "string"),
)
DEFINITION: Final = json.dumps(
    {
        "resource": "Observation",
        "select": [
            {"column": [{"name": name, "path": path, "type": kind} for name, path, kind in COLUMNS]}
        ],
    }
).encode()

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def measure() -> dict[str, Figure]:
    """Measure both."""
    with tempfile.TemporaryDirectory(prefix="iamata-bench-") as folder:
        bodies = list(itertools.islice(write_observations(Path(folder)), RESOURCES))
        return {"views.rate": measure_rate(bodies), "views.vault": measure_vault(Path(folder), bodies)}


def write_observations(folder: Path) -> Iterator[bytes]:
    """Write observations without end, each with an id of its own and one of the patients."""
    found: list[Exact] = []
    for chunk in read_resources([find_source(folder)], "Observation", limits=Limits(), progress=Progress()):
        if not isinstance(chunk, Problem):
            found += chunk
    for number, tree in enumerate(itertools.cycle(found)):
        subject = {"reference": f"Patient/p{number * PATIENTS // RESOURCES}"}
        yield _ENCODER.encode(tree | {"id": f"o{number}", "subject": subject, "encounter": None})


def measure_rate(bodies: list[bytes]) -> Figure:
    """Make columns of trees in memory, beside a walk written by hand for just these columns."""
    view = CompiledView(read_view(DEFINITION))
    gc.disable()
    trees = [read_exact(body) for body in bodies]
    gc.enable()
    gc.freeze()
    ratios = [
        (
            measure_s(lambda: list(view.make_batches(trees))),
            measure_s(lambda: [walk(tree) for tree in trees]),
        )
        for _ in range(RUNS)
    ]
    gc.unfreeze()
    ours_s, floor_s = (statistics.median(times) for times in zip(*ratios, strict=True))
    return compare(len(trees) / ours_s, "resources/s", len(trees) / floor_s)


def walk(tree: Any) -> tuple[Any, ...]:  # noqa: ANN401  JSON
    """Make one row as a program for this one view would."""
    coding = tree["code"].get("coding") or [{}]
    loinc = [one for one in coding if one.get("system") == "http://loinc.org"]
    quantity = tree.get("valueQuantity") or {}
    return (
        "Observation/" + tree["id"],
        tree.get("status"),
        tree["subject"]["reference"],
        loinc[0].get("code") if loinc else None,
        coding[0].get("display"),
        tree.get("effectiveDateTime"),
        quantity.get("value"),
        quantity.get("unit"),
    )


def measure_vault(folder: Path, bodies: list[bytes]) -> Figure:
    """Run the view over a vault into Parquet, beside bare decryption and decoding of as many bodies."""
    source, home = folder / "source", folder / "home"
    source.mkdir()
    patients = [b'{"resourceType":"Patient","id":"p%d"}' % number for number in range(PATIENTS)]
    (source / "a.ndjson").write_bytes(b"\n".join(patients))
    (source / "b.ndjson").write_bytes(
        b"\n".join(body.replace(b',"encounter":null', b"") for body in bodies)
    )
    create_home(home, "bench", [(MEMBER, "Hospital", MemberKind.HOSPITAL)])
    rates = []
    with open_home(home) as opened:
        office = opened.get_office(MEMBER)
        import_files(office, [source], progress=Progress(), tell=lambda _: None)
        person = register_clinician(opened)
        for run in range(RUNS):
            target = folder / f"table-{run}.parquet"

            def tabulate(target: Path = target) -> None:
                tabulate_records(
                    DEFINITION, office, target, person=person, purpose="TREAT", tell=lambda _: None
                )

            rates.append(len(bodies) / measure_s(tabulate))
    return compare(statistics.median(rates), "resources/s", measure_bare_reading(bodies[:10_000]))


def measure_bare_reading(bodies: list[bytes]) -> float:
    """Decrypt, decompress and decode in one loop: what one process cannot be faster than."""
    cipher, nonce = AESGCM(bytes(32)), bytes(12)
    sealed = [cipher.encrypt(nonce, compress(body), b"") for body in bodies]

    def read_all() -> None:
        for one in sealed:
            read_exact(decompress(cipher.decrypt(nonce, one, b""), size_bytes_max=BODY_BYTES_MAX))

    return len(sealed) / measure_s(read_all)
