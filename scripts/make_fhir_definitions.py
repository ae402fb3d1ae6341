"""Write `iamata/fhir/tables/r4.json` from the FHIR R4 core package: `make_fhir_definitions.py PACKAGE`.

What depends on an instance of the package, such as its narratives, is left out, and so is what only guides
a reader: descriptions, mappings, example and preferred bindings. Invariants and profiles are not facts of
structure.
"""

import json
import pathlib
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from iamata.fhir.definitions import TABLE, Element, Kind, SearchParameter, Table, Type

PLACE: Final = pathlib.Path(__file__).parent.parent / "src/iamata/fhir/tables" / TABLE

_WANTED: Final = re.compile(
    r"(StructureDefinition|ValueSet|CodeSystem|SearchParameter|CompartmentDefinition)-.*\.json"
)
_KINDS: Final = {
    "primitive-type": Kind.PRIMITIVE,
    "complex-type": Kind.COMPLEX,
    "resource": Kind.RESOURCE,
}
_NESTED: Final = ("BackboneElement", "Element")
"""The types of elements that have elements of their own."""
_NOT_STANDARD: Final = re.compile(r"example|.*-extensions-")
"""Ids of search parameters that show how to write one, or search extensions."""
_TARGETS_OF_ANY: Final = 145
"""The package lists every type for a reference to any, but for the one that it forgets, `Parameters`."""

Document = dict[str, Any]
Codes = dict[str, tuple[str, ...]]
"""By system."""


class Package:
    """The documents of a package by their canonical address."""

    def __init__(self, path: pathlib.Path) -> None:
        self.by_type: dict[str, dict[str, Document]] = defaultdict(dict)
        for document in _read_documents(path):
            self.by_type[document["resourceType"]][document["url"]] = document


def main() -> None:
    """Write the table from the package that the command line names."""
    PLACE.write_bytes(render_table(pathlib.Path(sys.argv[1])))


def render_table(path: pathlib.Path) -> bytes:
    """Compute the file from the package: JSON, one fact to a line."""
    package = Package(path)
    codes = _expand_all(package)
    table = Table(
        version="4.0.1",
        types={one.name: one for one in _list_types(package, codes)},
        codes={name: codes[name] for name in sorted(codes)},
        parameters=_list_parameters(package),
        compartments=_list_compartments(package),
    )
    return _spread(msgspec.to_builtins(table)).encode() + b"\n"


def _read_documents(path: pathlib.Path) -> Iterator[Document]:
    with tarfile.open(path) as archive:
        for member in archive:
            if _WANTED.fullmatch(pathlib.PurePosixPath(member.name).name):
                content = archive.extractfile(member)
                if content is not None:
                    yield json.load(content)


def _spread(value: object, depth: int = 2) -> str:
    """Spell JSON with a line for each entry of the upper levels, so that a change shows as a line."""
    if depth and isinstance(value, dict):
        lines = (f"{json.dumps(key)}: {_spread(each, depth - 1)}" for key, each in value.items())
        return "{\n" + ",\n".join(lines) + "\n}"
    return json.dumps(value, separators=(",", ":"))


# ------------------------------------------------------------------------------------------------ types


def _list_types(package: Package, codes: dict[str, Codes]) -> Iterator[Type]:
    """Describe the types that are no profiles of others, each followed by those of its elements."""
    definitions = package.by_type["StructureDefinition"].values()
    for definition in sorted(definitions, key=lambda one: str(one["id"])):
        if definition["kind"] in _KINDS and definition.get("derivation") != "constraint":
            rows = [row for row in definition["snapshot"]["element"] if not _is_value(definition, row)]
            yield from _describe(definition, rows, package, codes)


def _describe(
    definition: Document, rows: list[Document], package: Package, codes: dict[str, Codes]
) -> Iterator[Type]:
    name = definition["id"]
    nested = {row["path"] for row in rows[1:] if _has_children(row["path"], rows)}
    for path in [name, *sorted(nested)]:
        own = [row for row in rows if row["path"].rpartition(".")[0] == path]
        base = definition.get("baseDefinition", "").rpartition("/")[2]
        if path != name:
            base = next(row["type"][0]["code"] for row in rows if row["path"] == path)
        inherited = _list_inherited(base, package)
        yield Type(
            name=path,
            kind=_KINDS[definition["kind"]] if path == name else Kind.BACKBONE,
            base=base,
            is_abstract=path == name and definition["abstract"],
            elements=tuple(
                _describe_element(row, nested, codes) for row in own if _get_name(row) not in inherited
            ),
        )


def _is_value(definition: Document, row: Document) -> bool:
    """Tell whether a row is a primitive's own value, which in JSON is no element."""
    return definition["kind"] == "primitive-type" and _get_name(row) == "value"


def _has_children(path: str, rows: list[Document]) -> bool:
    return any(row["path"].startswith(f"{path}.") for row in rows)


def _list_inherited(base: str, package: Package) -> list[str]:
    url = f"http://hl7.org/fhir/StructureDefinition/{base}"
    definition = package.by_type["StructureDefinition"].get(url)
    return [] if definition is None else [_get_name(row) for row in definition["snapshot"]["element"][1:]]


def _get_name(row: Document) -> str:
    return str(row["path"].rpartition(".")[2])


def _describe_element(row: Document, nested: set[str], codes: dict[str, Codes]) -> Element:
    targets = [
        target.rpartition("/")[2]
        for one in row.get("type", ())
        if one["code"] == "Reference"
        for target in one.get("targetProfile", ())
    ]
    binding = row.get("binding", {})
    value_set = binding.get("valueSet", "").partition("|")[0].rpartition("/")[2]
    return Element(
        name=_get_name(row).removesuffix("[x]"),
        types=_list_element_types(row, nested),
        min=row["min"],
        max={"1": 1, "*": None}[row["max"]],
        is_choice=row["path"].endswith("[x]"),
        targets=() if "Resource" in targets else tuple(targets),
        codes=value_set if binding.get("strength") == "required" and value_set in codes else "",
    )


def _list_element_types(row: Document, nested: set[str]) -> tuple[str, ...]:
    if row["path"] in nested:
        return (row["path"],)
    if "contentReference" in row:
        return (row["contentReference"].removeprefix("#"),)
    if row["path"] == "Resource.id":
        return ("id",)  # the package says string, and the pattern of an id in words (2.24.0.14)
    return tuple(_name_type(one) for one in row["type"])


def _name_type(one: Document) -> str:
    """Name a type; FHIRPath's own stand for what has no extensions, and say which type of FHIR that is."""
    if one["code"].startswith("http://hl7.org/fhirpath/"):
        return str(next(extension["valueUrl"] for extension in one["extension"]))
    return str(one["code"])


# ------------------------------------------------------------------------------------------------ codes


def _expand_all(package: Package) -> dict[str, Codes]:
    """List the codes of each value set of a required binding that the package can expand."""
    wanted = {
        row["binding"]["valueSet"].partition("|")[0]
        for definition in package.by_type["StructureDefinition"].values()
        if definition["kind"] in _KINDS and definition.get("derivation") != "constraint"
        for row in definition["snapshot"]["element"]
        if row.get("binding", {}).get("strength") == "required"
    }
    value_sets = package.by_type["ValueSet"]
    expanded = {url: _expand(value_sets[url], package) for url in wanted if url in value_sets}
    return {url.rpartition("/")[2]: codes for url, codes in expanded.items() if codes}


def _expand(value_set: Document, package: Package) -> Codes | None:
    """List a value set's codes by system; None where they lie outside the package."""
    codes: Codes = {}
    for include in value_set["compose"]["include"]:
        if "filter" in include or "valueSet" in include or "exclude" in value_set["compose"]:
            message = f"{value_set['id']}: more than systems and codes"
            raise ValueError(message)
        concepts = include.get("concept")
        if concepts is None:
            system = package.by_type["CodeSystem"].get(include["system"], {"content": "not-present"})
            if system["content"] != "complete":
                return None
            concepts = list(_flatten(system["concept"]))
        listed = codes.get(include["system"], ()) + tuple(concept["code"] for concept in concepts)
        codes[include["system"]] = tuple(dict.fromkeys(listed))
    return codes


def _flatten(concepts: list[Document]) -> Iterator[Document]:
    for concept in concepts:
        yield concept
        yield from _flatten(concept.get("concept", []))


# ------------------------------------------------------------------------------- searches, compartments


def _list_parameters(package: Package) -> dict[str, tuple[SearchParameter, ...]]:
    found: dict[str, list[SearchParameter]] = defaultdict(list)
    documents = package.by_type["SearchParameter"]
    for document in sorted(documents.values(), key=lambda one: (str(one["code"]), str(one["id"]))):
        if "base" in document and not _NOT_STANDARD.match(document["id"]):
            for base in document["base"]:
                found[base].append(
                    SearchParameter(
                        code=document["code"],
                        type=document["type"],
                        expression=_pick_expression(document, base),
                        targets=_pick_targets(document),
                        components=tuple(
                            (documents[one["definition"]]["code"], one["expression"])
                            for one in document.get("component", ())
                        ),
                    )
                )
    return {base: tuple(found[base]) for base in sorted(found)}


def _pick_expression(document: Document, base: str) -> str:
    """Pick the parts of an expression for several types that are about this one."""
    expression = str(document.get("expression", ""))
    if len(document["base"]) == 1:
        return expression
    parts = [part.strip() for part in expression.split("|")]
    picked = [part for part in parts if re.match(rf"\(*{base}\b", part)]
    if not picked:
        message = f"{document['id']}: nothing about {base}"
        raise ValueError(message)
    return " | ".join(picked)


def _pick_targets(document: Document) -> tuple[str, ...]:
    """List what a reference may point to; nothing where every type of resource is listed."""
    targets = tuple(document.get("target", ()))
    return () if len(targets) >= _TARGETS_OF_ANY else targets


def _list_compartments(package: Package) -> dict[str, dict[str, tuple[str, ...]]]:
    documents = package.by_type["CompartmentDefinition"].values()
    return {
        document["code"]: {
            entry["code"]: tuple(entry["param"]) for entry in document["resource"] if "param" in entry
        }
        for document in sorted(documents, key=lambda one: str(one["code"]))
        if document["id"] != "example"
    }


if __name__ == "__main__":
    main()
