"""Label a resource by what it says, so that consent can tell psychiatry from a blood count.

Labels are HL7 v3 codes (FHIR R4 6.1.1, HL7 HCS): one confidentiality code, then sensitivities. The
rules are data (`tables/labels.toml`), versioned, each with its source: codes, wherever they stand;
words, where no code stands beside them; and FHIRPath for what is neither. A label that the source
already gave stays; a rule may raise the confidentiality and never lowers it.
"""

import functools
import re
import tomllib
from collections.abc import Iterator
from typing import Final

import msgspec

from iamata.consent.labels import CONFIDENTIALITY, NORMAL, RESTRICTED
from iamata.fhir.definitions import is_resource_type
from iamata.fhir.path.elements import to_value
from iamata.fhir.path.expressions import PathExpression, compile_expression
from iamata.fhir.resources import Coding, Resource, Tree
from iamata.model.reasons import Reason, Refused, require

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
    texts: dict[str, list[str]]
    """FHIRPath to what a resource of a type says in words only."""
    by_words: tuple[tuple[str, tuple[str, ...]], ...]
    """Regular expressions, one for each rule with words."""
    by_path: dict[str, tuple[tuple[str, tuple[str, ...]], ...]]
    """FHIRPath that is true of a resource of a type to which the rule applies."""

    def list_paths(self) -> Iterator[tuple[str, str]]:
        """List every resource type with FHIRPath that is evaluated on it."""
        yield from ((name, path) for name, paths in self.texts.items() for path in paths)
        yield from ((name, path) for name, paths in self.by_path.items() for path, _ in paths)


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    source: str
    labels: list[str]
    types: list[str] = []
    codes: dict[str, list[str]] = {}
    prefixes: dict[str, list[str]] = {}
    words: list[str] = []
    expressions: dict[str, list[str]] = {}


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    systems: dict[str, list[str]]
    rule: list[_Rule]
    texts: dict[str, list[str]] = {}


def parse_rules(text: str) -> LabelRules:
    """Read a rule table, or refuse it."""
    try:
        rules = _compile(msgspec.convert(tomllib.loads(text), _Table))
    except (ValueError, KeyError, RecursionError) as error:
        raise Refused(Reason.INPUT_INVALID, "not a table of label rules") from error
    for resource_type, path in rules.list_paths():
        require(is_resource_type(resource_type), Reason.INPUT_INVALID, "a type that FHIR R4 has not")
        _compile_path(path, resource_type)
    return rules


def label(resource: Resource, resource_type: str, rules: LabelRules) -> tuple[str, ...]:
    """Compute the labels of a resource: its confidentiality first, then sensitivities in order."""
    found: dict[str, None] = dict.fromkeys(rules.by_type.get(resource_type, ()))
    levels: list[str] = []
    for coding in resource.codings:
        if (given := rules.by_code.get(coding)) is not None:
            found.update(dict.fromkeys(given))
        if (prefixes := rules.by_prefix.get(coding[0])) is not None:
            found.update(dict.fromkeys(_look_up(coding[1], prefixes)))
    found.update(dict.fromkeys(_look_closer(resource.elements, resource_type, rules)))
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


def _look_closer(elements: Tree, resource_type: str, rules: LabelRules) -> Iterator[str]:
    """Yield the labels that words and FHIRPath give; what cannot be evaluated is taken to be sensitive."""
    for path in rules.texts.get(resource_type, ()):
        said = _evaluate(path, resource_type, elements)
        if said is None:
            yield from rules.sensitive
        for pattern, given in rules.by_words if said else ():
            if any(type(text) is str and _compile_words(pattern).search(text) for text in said or ()):
                yield from given
    for path, given in rules.by_path.get(resource_type, ()):
        if _evaluate(path, resource_type, elements) in (None, [True]):
            yield from given


def _evaluate(path: str, resource_type: str, elements: Tree) -> list[object] | None:
    """Evaluate FHIRPath on a resource; None where that is refused, as it is for what takes too long."""
    try:
        return [to_value(item) for item in _compile_path(path, resource_type).evaluate(elements)]
    except Refused:
        return None


@functools.cache
def _compile_path(text: str, resource_type: str) -> PathExpression:
    return compile_expression(text, type_name=resource_type)


@functools.cache
def _compile_words(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


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
    return LabelRules(
        version=table.version,
        sensitive=tuple(sorted({code: None for rule in table.rule for code in rule.labels})),
        by_code=by_code,
        by_prefix=by_prefix,
        by_type=by_type,
        texts=table.texts,
        by_words=tuple((_join_words(rule.words), tuple(rule.labels)) for rule in table.rule if rule.words),
        by_path=_list_paths(table.rule),
    )


def _join_words(words: list[str]) -> str:
    """Write a pattern for words that begin so."""
    return rf"\b(?:{'|'.join(map(re.escape, words))})"


def _list_paths(rules: list[_Rule]) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """List the expressions of all rules by resource type."""
    paths: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {}
    for rule in rules:
        for resource_type, expressions in rule.expressions.items():
            for expression in expressions:
                one = (expression, tuple(rule.labels))
                paths[resource_type] = (*paths.get(resource_type, ()), one)
    return paths
