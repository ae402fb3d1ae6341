"""`iamata sample`: synthetic patients for demos, tests and benchmarks."""

from pathlib import Path
from typing import Annotated, cast

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.output import make_progress, show
from iamata.sample.generating import DEFAULT_HOSPITALS, DEFAULT_OVERLAP_PERCENT, DEFAULT_YEARS
from iamata.sample.writing import Form, Written, write_sample

app = make_noun("Synthetic patients; every resource says that it is synthetic.")


@verb(app, "generate")
def generate(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    patients: Annotated[int, typer.Option("--patients", min=1, help="How many.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same patients.")] = 1,
    hospitals: Annotated[int, typer.Option("--hospitals", min=1, help="Folders.")] = DEFAULT_HOSPITALS,
    years: Annotated[int, typer.Option("--years", min=1, help="How long each is known.")] = DEFAULT_YEARS,
    overlap_percent: Annotated[
        int, typer.Option("--overlap-percent", min=0, max=100, help="How many go to several hospitals.")
    ] = DEFAULT_OVERLAP_PERCENT,
    form: Annotated[str, typer.Option("--form", metavar="FORM", help="bundles or ndjson")] = "bundles",
) -> None:
    """Make FHIR R4 patients with years of history, at several hospitals."""
    with make_progress() as progress:
        task = progress.add_task("patients", total=patients, rate="")

        def report(written: Written) -> None:
            progress.update(task, completed=written.patients, rate=f"{written.resources:,} resources")

        written = write_sample(
            folder,
            seed=seed,
            patients=patients,
            hospitals=hospitals,
            years=years,
            overlap_percent=overlap_percent,
            form=cast("Form", form),
            report=report,
        )
    facts = {"patients": written.patients, "resources": written.resources, "folder": str(folder)}
    what = f"{written.resources:,} resources of {written.patients:,} synthetic patients"
    show(facts, [f"Wrote {what} to {folder}."])
