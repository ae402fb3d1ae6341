"""Write `iamata.fhir.tables.r4` from the published FHIR R4 core package: `make_fhir_tables.py PACKAGE`.

The Patient compartment is defined by names of search parameters; this turns each into the element
paths that it searches, so that membership is decided without a FHIRPath engine.
"""

import json
import pathlib
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

TABLE: Final = pathlib.Path(__file__).parent.parent / "src/iamata/fhir/tables/r4.py"

_WANTED: Final = re.compile(
    r"(SearchParameter-.*|CompartmentDefinition-patient|CodeSystem-resource-types)\.json"
)
_PATH: Final = re.compile(r"[A-Za-z]+(\.[A-Za-z]+)+")
_ABSTRACT: Final = ("Resource", "DomainResource")

_HEADER: Final = '''"""Facts of FHIR R4 (4.0.1). Written by scripts/make_fhir_tables.py: do not edit."""
# fmt: off

from typing import Final

'''


def main() -> None:
    """Write the table from the package that the command line names."""
    TABLE.write_text(render_table(pathlib.Path(sys.argv[1])), encoding="utf-8")


def render_table(package: pathlib.Path) -> str:
    """Compute the module's text from the package."""
    expressions: dict[tuple[str, str], list[str]] = defaultdict(list)
    compartment: dict[str, Any] = {}
    types: list[str] = []
    for document in _read_package(package):
        if document["resourceType"] == "SearchParameter":
            for base in document.get("base", ()):
                expressions[base, document["code"]] += document.get("expression", "").split(" | ")
        elif document["resourceType"] == "CompartmentDefinition":
            compartment = document
        else:
            types = [concept["code"] for concept in document["concept"]]
    paths = {
        entry["code"]: _list_paths(entry["code"], entry["param"], expressions)
        for entry in compartment["resource"]
        if "param" in entry
    }
    return _HEADER + _render_types(types) + "\n" + _render_paths(paths)


def _read_package(package: pathlib.Path) -> Iterator[dict[str, Any]]:
    with tarfile.open(package) as archive:
        for member in archive:
            if _WANTED.fullmatch(pathlib.PurePosixPath(member.name).name):
                content = archive.extractfile(member)
                if content is not None:
                    yield json.load(content)


def _list_paths(
    resource: str, parameters: list[str], expressions: dict[tuple[str, str], list[str]]
) -> list[str]:
    """List the element paths of a type's parameters, in the compartment's order."""
    paths: dict[str, None] = {}
    for parameter in parameters:
        for expression in expressions[resource, parameter]:
            path = expression.strip().removesuffix(".where(resolve() is Patient)")
            if path.startswith(resource + "."):
                if not _PATH.fullmatch(path):
                    message = f"{resource}: no plain path: {expression}"
                    raise ValueError(message)
                paths[path.removeprefix(resource + ".")] = None
    if not paths:
        message = f"{resource}: no path for {parameters}"
        raise ValueError(message)
    return list(paths)


def _render_types(types: list[str]) -> str:
    names = sorted(name for name in types if name not in _ABSTRACT)
    lines = "".join(f'        "{name}",\n' for name in names)
    return f"RESOURCE_TYPES: Final = frozenset(\n    {{\n{lines}    }}\n)\n"


def _render_paths(paths: dict[str, list[str]]) -> str:
    lines = ""
    for resource in sorted(paths):
        lines += f'    "{resource}": {_render_tuple([_render_path(path) for path in paths[resource]])},\n'
    words = "Where a reference to a patient puts a resource of this type into that patient's compartment."
    note = f'"""{words}"""\n'
    return f"PATIENT_PATHS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {{\n{lines}}}\n{note}"


def _render_path(path: str) -> str:
    return _render_tuple([f'"{name}"' for name in path.split(".")])


def _render_tuple(items: list[str]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


if __name__ == "__main__":
    main()
