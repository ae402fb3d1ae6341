"""A dataset's description for machines that look for data: Croissant 1.1, a form of schema.org's Dataset.

It says which columns there are and within which public bounds, under which permit and conditions ("Data Use
Conditions"), and what the ledger commits to. There is no row in it, no count but the band that the ledger
shows, and no place to download anything from. Croissant format 1.1, MLCommons 2026:
http://mlcommons.org/croissant/1.1.
"""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import msgspec

from iamata.consent.condition_wording import LABELS, Stated, state_conditions
from iamata.consent.data_use import Conditions
from iamata.learning.protocols import Protocol
from iamata.learning.schemas import Categorical, Column, Numeric, Outcome, Schema
from iamata.ledger.entries import Dataset, Member, Study
from iamata.ledger.tables import MEMBERS
from iamata.model.ids import DatasetId, NetworkId
from iamata.model.instants import Instant, format_day, format_instant
from iamata.model.reasons import Reason, Refused
from iamata.ports import Engine, LedgerView
from iamata.workflows.lineages import find_posted, get_dataset, get_study

CROISSANT: Final = "http://mlcommons.org/croissant/1.1"
ROWS: Final = "rows"
TABLE: Final = "table"
"""Croissant's fields come out of a file: this one is named and described, and nobody's to fetch."""
_OBO: Final = "http://purl.obolibrary.org/obo/"
_DUO: Final = _OBO + "duo.owl"
_BEYOND: Final = {"refuse": "refused", "clip": "cut to it", "missing": "missing"}
_OUTCOMES: Final = {"binary": "sc:Boolean", "count": "sc:Integer", "number": "sc:Float"}
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""As MLCommons' own data sets of this version have it, for readers compare it.

The specification's appendix writes schema.org with `http`, which the published validator refuses.
"""


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset with what is above it on the ledger."""

    network: NetworkId
    name: DatasetId
    dataset: Dataset
    study: Study
    custodian: Member
    posted_ms: Instant
    version: int
    """1, and one more for each dataset that it replaced."""
    conditions: Conditions | None
    """What may be done with its data; None where nobody here knows."""


def write_croissant(protocol: Protocol, described: Described) -> bytes:
    """Write a dataset's description as JSON-LD."""
    dataset, study = described.dataset, described.study
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CROISSANT,
        "name": f"{protocol.title}: {dataset.custodian}",
        "description": (
            f"{protocol.question} The rows of {described.custodian.name}, of patients who consented, in "
            f"{dataset.leaves:,} leaves with dummies among them. They do not leave their custodian."
        ),
        "url": f"ni:///sha-256;{described.network}#{described.name}",
        "license": f"For study {dataset.study} alone, by its permit, until {format_day(study.until_day)}.",
        **_state_usage(described.conditions),
        "conditionsOfAccess": (
            f"For {study.purpose}, under the permit of study {dataset.study}, by the code that was "
            "reviewed: nothing but sums over sites is seen outside. "
            + _spell_matching(described.conditions)
        ),
        "creator": {"@type": "sc:Organization", "name": described.custodian.name},
        "publisher": {"@type": "sc:Organization", "name": described.custodian.name},
        "datePublished": format_instant(described.posted_ms),
        "version": f"{described.version}.0.0",
        "isLiveDataset": False,
        "keywords": ["health", "consented", *protocol.classes],
        "citeAs": f"{described.custodian.name}: dataset {described.name}, network {described.network}",
        "identifier": list(_list_identifiers(described)),
        "variableMeasured": list(_measure(protocol.schema)),
        "rai:personalSensitiveInformation": ["Health records of patients who consented to this study."],
        "distribution": [_name_file(described)],
        "recordSet": list(_list_records(protocol.schema)),
    }
    return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8")


def gather(
    engine: Engine, view: LedgerView, name: DatasetId, *, conditions: Conditions | None
) -> Described:
    """Gather what the ledger says of a dataset, beside its conditions; refuse where there is none."""
    dataset = get_dataset(view, name)
    custodian = MEMBERS.find(view, dataset.custodian)
    posted = find_posted(engine, name)
    if custodian is None or posted is None:
        raise Refused(Reason.HOME_CORRUPT, "the ledger misses what a dataset names")
    version, before = 1, dataset.replaces
    while before is not None:
        version, before = version + 1, get_dataset(view, before).replaces
    return Described(
        network=engine.network,
        name=name,
        dataset=dataset,
        study=get_study(view, dataset.study),
        custodian=custodian,
        posted_ms=posted,
        version=version,
        conditions=conditions,
    )


def _state_usage(conditions: Conditions | None) -> dict[str, Any]:
    if conditions is None:
        return {}
    return {"usageInfo": [_define(one) for one in state_conditions(conditions)]}


def _define(stated: Stated) -> dict[str, Any]:
    """State a condition as a term of its ontology, with what the custodian names besides."""
    term = {"@type": "sc:DefinedTerm", "name": stated.label, "termCode": stated.code.replace(":", "_")}
    if stated.code in LABELS:
        term |= {"url": _OBO + term["termCode"], "inDefinedTermSet": _DUO}
    return term | ({"description": ", ".join(stated.names)} if stated.names else {})


def _spell_matching(conditions: Conditions | None) -> str:
    if conditions is None:
        return "Which conditions its custodian makes is not known here."
    judged = " People there have judged what they leave to people." if conditions.is_judged else ""
    return f"Its custodian matches its conditions at every use.{judged}"


def _name_file(described: Described) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": TABLE,
        "name": TABLE,
        "description": "Sealed in the custodian's vault, and not to be downloaded.",
        "encodingFormat": "application/octet-stream",
        "includes": described.name,
    }


def _list_records(schema: Schema) -> Iterator[dict[str, Any]]:
    """List what each column of words may say, and then the rows."""
    yield from (_enumerate(column) for column in schema.columns if isinstance(column, Categorical))
    yield {
        "@type": "cr:RecordSet",
        "@id": ROWS,
        "name": ROWS,
        "description": "A patient's row, or several; whose it is, is not in it.",
        "field": [*map(_describe, schema.columns), _describe_outcome(schema.outcome)],
    }


def _list_identifiers(described: Described) -> Iterator[dict[str, Any]]:
    """List what finds the dataset again, and what the ledger holds it to."""
    dataset = described.dataset
    for name, value in (
        ("network", described.network),
        ("dataset", described.name),
        ("study", dataset.study),
        ("protocol (SHA-256)", described.study.protocol),
        ("code (SHA-256)", described.study.code),
        ("permit's uses", ", ".join(described.study.uses)),
        ("permit granted by", ", ".join(described.study.approvals)),
        ("permit until", format_day(described.study.until_day)),
        ("members (root)", dataset.members),
        ("consents (commitment)", dataset.consents),
        ("consents asked after block", dataset.height),
    ):
        yield {"@type": "sc:PropertyValue", "propertyID": name, "value": value}


def _measure(schema: Schema) -> Iterator[dict[str, Any]]:
    """List the public bounds of what is measured, which Croissant's fields have no place for."""
    for column in schema.columns:
        if isinstance(column, Numeric):
            yield _bound(column.name, column.low, column.high)
    yield _bound(schema.outcome.name, schema.outcome.low, schema.outcome.high)


def _bound(name: str, low: float, high: float) -> dict[str, Any]:
    return {"@type": "sc:PropertyValue", "name": name, "minValue": low, "maxValue": high}


def _describe(column: Column) -> dict[str, Any]:
    field = _start_field(column.name)
    match column:
        case Numeric(low=low, high=high):
            said = f"From {low:g} to {high:g}; beyond: {_BEYOND[column.outside]}."
            return field | {"dataType": "sc:Float", "description": said}
        case Categorical(categories=categories):
            said = f"One of {len(categories):,} categories, or missing."
            # As version 1.0 says: 1.1 has no `field` here, which the published validator cannot read.
            values = {"field": {"@id": f"{_name_categories(column)}/name"}}
            return field | {"dataType": "sc:Text", "description": said, "references": values}


def _describe_outcome(outcome: Outcome) -> dict[str, Any]:
    said = f"The outcome, from {outcome.low:g} to {outcome.high:g}."
    return _start_field(outcome.name) | {"dataType": _OUTCOMES[outcome.kind], "description": said}


def _start_field(name: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{ROWS}/{quote(name, safe='')}",
        "name": name,
        "source": {"fileSet": {"@id": TABLE}, "extract": {"column": name}},
    }


def _enumerate(column: Categorical) -> dict[str, Any]:
    """Describe a column's categories, which are public: the protocol names them."""
    own = _name_categories(column)
    return {
        "@type": "cr:RecordSet",
        "@id": own,
        "name": own,
        "description": f"The categories of {column.name}.",
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{own}/name"},
        "field": [{"@type": "cr:Field", "@id": f"{own}/name", "name": "name", "dataType": "sc:Text"}],
        "data": [{f"{own}/name": one} for one in column.categories],
    }


def _name_categories(column: Categorical) -> str:
    return f"categories/{quote(column.name, safe='')}"
