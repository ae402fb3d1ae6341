"""Say of resolved resources whose they are and what a decision may know of them.

A function of its question alone, label rules included, so that another process can answer it too.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from iamata.consent.requests import RecordFacts
from iamata.fhir.compartments import find_patients
from iamata.fhir.facts import state_facts
from iamata.fhir.labels import LabelRules, label
from iamata.fhir.resources import read_resource
from iamata.fhir.validation.checking import validate
from iamata.fhir.validation.issues import spell_first
from iamata.model.reasons import Reason, Refused, require

PATIENTS_MAX: Final = 32
"""Each patient of a record gets a sealed copy, so their number bounds what one record can grow to."""


class Resolved(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A resource whose references are resolved, and where it stands in its source."""

    index: int
    resource_type: str
    resource_id: str
    body: bytes


class ToDescribe(msgspec.Struct, frozen=True, array_like=True):
    """Some resources, and the rules by which they are labelled."""

    rules: msgspec.Raw
    """As `spell_rules` spells them: the other process reads the same rules once, not with each question."""
    resources: list[Resolved]

    def __len__(self) -> int:
        return len(self.resources)


class Described(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Whose a resource is, the most direct first, and what a decision may know of it."""

    patients: tuple[str, ...]
    facts: RecordFacts
    irregularity: str = ""
    """Where its structure is not what FHIR R4 says, and what was expected there; empty where it is."""


class NotDescribed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Why a resource cannot be a record."""

    reason: Reason
    detail: str


Description: TypeAlias = Described | NotDescribed
Describe: TypeAlias = Callable[[Iterable[ToDescribe]], Iterator[tuple[ToDescribe, Sequence[Description]]]]
"""Gives each question back with its answers, in order."""


def describe_all(asked: ToDescribe) -> list[Description]:
    """Describe some resources; one that is refused spoils no other."""
    rules = _read_rules(bytes(asked.rules))
    return [_describe(one, rules) for one in asked.resources]


def spell_rules(rules: LabelRules) -> msgspec.Raw:
    """Spell rules for questions."""
    return msgspec.Raw(msgspec.msgpack.encode(rules))


def describe_here(questions: Iterable[ToDescribe]) -> Iterator[tuple[ToDescribe, Sequence[Description]]]:
    """Describe resources in this process."""
    return ((asked, describe_all(asked)) for asked in questions)


def require_structure(describe: Describe) -> Describe:
    """Let every resource be refused whose structure is not what FHIR R4 says."""

    def describe_strictly(
        questions: Iterable[ToDescribe],
    ) -> Iterator[tuple[ToDescribe, Sequence[Description]]]:
        for asked, answers in describe(questions):
            yield asked, [_refuse_irregular(one) for one in answers]

    return describe_strictly


def _refuse_irregular(one: Description) -> Description:
    if isinstance(one, Described) and one.irregularity:
        return NotDescribed(Reason.RESOURCE_INVALID, one.irregularity)
    return one


@functools.lru_cache(maxsize=1)
def _read_rules(spelled: bytes) -> LabelRules:
    return msgspec.msgpack.decode(spelled, type=LabelRules)


def _describe(one: Resolved, rules: LabelRules) -> Description:
    try:
        resource = read_resource(one.body)
        patients = find_patients(resource.elements, one.resource_type, one.resource_id)
        require(len(patients) <= PATIENTS_MAX, Reason.INPUT_TOO_LARGE, "patients of one record")
    except Refused as refused:
        return NotDescribed(refused.reason, refused.detail)
    labels = label(resource, one.resource_type, rules)
    facts = state_facts(
        resource, resource_type=one.resource_type, resource_id=one.resource_id, labels=labels
    )
    return Described(patients, facts, spell_first(validate(resource.elements)))
