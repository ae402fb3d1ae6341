"""Label a resource by its codes, so that consent can tell psychiatry from a blood count.

Labels are HL7 v3 codes (FHIR R4 6.1.1, HL7 HCS): one confidentiality code, then sensitivities. The
rules are data (`tables/labels.toml`), versioned, each with its source. A label that the source already
gave stays; a rule may raise the confidentiality and never lowers it.
"""

import tomllib
from collections.abc import Iterator
from typing import Final

import msgspec

from iamata.consent.labels import CONFIDENTIALITY, NORMAL, RESTRICTED
from iamata.fhir.resources import Coding, Resource
from iamata.model.reasons import Reason, Refused

_PREFIX_MAX: Final = 8
_CONFIDENTIALITY_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_SENSITIVITY_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


class LabelRules(msgspec.Struct, frozen=True):
    """A rule table, turned round for looking up."""

    version: str
    sensitive: tuple[str, ...]
    """Every label that some rule can give, in order: each of them makes a resource restricted."""
    by_code: dict[Coding, tuple[str, ...]]
    by_prefix: dict[str, dict[str, tuple[str, ...]]]
    by_type: dict[str, tuple[str, ...]]


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    source: str
    labels: list[str]
    types: list[str] = []
    codes: dict[str, list[str]] = {}
    prefixes: dict[str, list[str]] = {}


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    systems: dict[str, list[str]]
    rule: list[_Rule]


def parse_rules(text: str) -> LabelRules:
    """Read a rule table, or refuse it."""
    try:
        table = msgspec.convert(tomllib.loads(text), _Table)
        return _compile(table)
    except (ValueError, KeyError, RecursionError) as error:
        raise Refused(Reason.INPUT_INVALID, "not a table of label rules") from error


def label(resource: Resource, resource_type: str, rules: LabelRules) -> tuple[str, ...]:
    """Compute the labels of a resource: its confidentiality first, then sensitivities in order."""
    found: dict[str, None] = dict.fromkeys(rules.by_type.get(resource_type, ()))
    levels: list[str] = []
    for coding in resource.codings:
        if (given := rules.by_code.get(coding)) is not None:
            found.update(dict.fromkeys(given))
        if (prefixes := rules.by_prefix.get(coding[0])) is not None:
            found.update(dict.fromkeys(_look_up(coding[1], prefixes)))
    for system, code in _list_security(resource.elements.get("meta")):
        if system == _CONFIDENTIALITY_SYSTEM and code in CONFIDENTIALITY:
            levels.append(code)
        elif system == _SENSITIVITY_SYSTEM:
            found[code] = None
    if any(code in rules.sensitive for code in found):
        levels.append(RESTRICTED)
    return (max(levels, key=CONFIDENTIALITY.index, default=NORMAL), *sorted(found))


def _look_up(code: str, prefixes: dict[str, tuple[str, ...]]) -> Iterator[str]:
    spelled = code[: 2 * _PREFIX_MAX].replace(".", "").upper()
    for length in range(1, min(len(spelled), _PREFIX_MAX) + 1):
        yield from prefixes.get(spelled[:length], ())


def _list_security(meta: object) -> Iterator[Coding]:
    security = meta.get("security") if type(meta) is dict else None
    for coding in security if type(security) is list else []:
        if type(coding) is dict:
            yield str(coding.get("system")), str(coding.get("code"))


def _compile(table: _Table) -> LabelRules:
    """Turn the rules round; a code that several rules name gets the labels of all."""
    by_code: dict[Coding, tuple[str, ...]] = {}
    by_prefix: dict[str, dict[str, tuple[str, ...]]] = {}
    by_type: dict[str, tuple[str, ...]] = {}
    for rule in table.rule:
        given = tuple(rule.labels)
        for resource_type in rule.types:
            by_type[resource_type] = by_type.get(resource_type, ()) + given
        for name, codes in rule.codes.items():
            for system in table.systems[name]:
                for code in codes:
                    by_code[system, code] = by_code.get((system, code), ()) + given
        for name, codes in rule.prefixes.items():
            for system in table.systems[name]:
                prefixes = by_prefix.setdefault(system, {})
                for code in codes:
                    prefixes[code.replace(".", "")] = prefixes.get(code.replace(".", ""), ()) + given
    sensitive = sorted({code: None for rule in table.rule for code in rule.labels})
    return LabelRules(
        version=table.version,
        sensitive=tuple(sensitive),
        by_code=by_code,
        by_prefix=by_prefix,
        by_type=by_type,
    )
