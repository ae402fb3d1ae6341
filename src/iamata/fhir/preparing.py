"""Prepare records for the vault: resolve, label, assign, state the facts; keep the good from the bad.

A transaction goes in whole or not at all. In a batch, a search result or a stream of lines each entry
stands alone. Nothing here says what was in a bad entry: only where it stood and why it was refused.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, TypeAlias

import msgspec

from iamata.consent.requests import RecordFacts
from iamata.fhir.bundles import Draft, draft_entry, draft_resource, read_bundle
from iamata.fhir.describing import (
    Describe,
    Described,
    NotDescribed,
    Resolved,
    ToDescribe,
    describe_here,
    spell_rules,
)
from iamata.fhir.labels import LabelRules
from iamata.fhir.references import FindIdentifier, NotYetKnown, References
from iamata.fhir.resources import Identifier, read_type
from iamata.model.reasons import Reason, Refused, require

RESOURCES_PER_QUESTION: Final = 64
BYTES_PER_QUESTION: Final = 256 * 1024
"""How many resources are described at a time, and how much of them."""

Reader: TypeAlias = "partial[Draft] | partial[Draft | None]"
"""Reads the entry whose index is its first argument."""


class Known(msgspec.Struct, frozen=True):
    """What can be asked about records that are kept, or were handed on before."""

    find_identifier: FindIdentifier
    is_patient_known: Callable[[str], bool]
    """Tells whether there is the Patient that a reference (`Patient/…`) names."""


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A record ready to be kept."""

    resource_type: str
    resource_id: str
    body: bytes
    patients: tuple[str, ...]
    """The `Patient/…` whose record this is, the most direct first; none for what belongs to the member.

    A Patient resource is its own alone. Those whom it is linked to stand behind it.
    """
    identifiers: tuple[Identifier, ...]
    facts: RecordFacts
    is_irregular: bool = False
    """Its structure is not what FHIR R4 says, and it is kept all the same."""


class Fault(msgspec.Struct, frozen=True):
    """Why an entry, or all of a document where no index is given, was refused."""

    index: int | None
    reason: Reason
    detail: str
    is_waiting: bool = False
    """Another document may bring what this one refers to."""


class Batch(msgspec.Struct, frozen=True):
    """What became of a document's entries."""

    prepared: tuple[Prepared, ...] = ()
    existing: int = 0
    """Entries that asked for a record which is already there."""
    faults: tuple[Fault, ...] = ()
    is_whole: bool = False
    """One fault keeps all entries out."""


def prepare_document(
    content: bytes,
    *,
    known: Known,
    rules: LabelRules,
    only: frozenset[int] | None = None,
    describe: Describe = describe_here,
) -> Batch:
    """Prepare what a compact document holds, a bundle or a single resource."""
    if read_type(content) == "Bundle":
        return prepare_bundle(content, known=known, rules=rules, only=only, describe=describe)
    return prepare_resources([(0, content)], known=known, rules=rules, describe=describe)


def prepare_bundle(
    content: bytes,
    *,
    known: Known,
    rules: LabelRules,
    only: frozenset[int] | None = None,
    describe: Describe = describe_here,
) -> Batch:
    """Prepare a compact bundle's entries; `only` picks some where each entry stands alone."""
    try:
        bundle = read_bundle(content)
    except Refused as refused:
        return Batch(faults=(state_fault(None, refused),))
    drafts = (partial(draft_entry, index, raw) for index, raw in enumerate(bundle.entry))
    batch = _prepare(drafts, known, rules, None if bundle.is_whole else only, describe)
    if bundle.is_whole and batch.faults:
        return Batch(faults=batch.faults, is_whole=True)
    return batch


def prepare_resources(
    texts: Iterable[tuple[int, bytes | Refused]],
    *,
    known: Known,
    rules: LabelRules,
    describe: Describe = describe_here,
) -> Batch:
    """Prepare resources that stand alone, each given with its index in its source."""
    drafts = (partial(draft_resource, index, text) for index, text in texts)
    return _prepare(drafts, known, rules, None, describe)


def state_fault(index: int | None, refused: Refused) -> Fault:
    """Say where a refusal happened."""
    is_waiting = isinstance(refused, NotYetKnown)
    return Fault(index=index, reason=refused.reason, detail=refused.detail, is_waiting=is_waiting)


def _prepare(
    readers: Iterable[Reader],
    known: Known,
    rules: LabelRules,
    only: frozenset[int] | None,
    describe: Describe,
) -> Batch:
    """Name all entries first, because any may refer to any other; then finish them one by one."""
    references = References(known.find_identifier)
    drafts, existing, faults = _name_all(readers, references)
    wanted = {draft.index: draft for draft in drafts if only is None or draft.index in only}
    finished: list[tuple[int, Prepared]] = []
    for asked, answers in describe(_resolve_all(wanted.values(), references, rules, faults)):
        for resolved, answer in zip(asked.resources, answers, strict=True):
            if isinstance(answer, NotDescribed):
                faults.append(Fault(resolved.index, answer.reason, answer.detail))
            else:
                record = _finish(wanted[resolved.index], resolved.body, answer)
                finished.append((resolved.index, record))
    prepared, strangers = _set_strangers_apart(finished, known)
    faults += strangers
    faults.sort(key=lambda fault: fault.index or 0)
    if only is not None:
        faults = [fault for fault in faults if fault.index in only]
        existing = [index for index in existing if index in only]
    return Batch(prepared=tuple(prepared), existing=len(existing), faults=tuple(faults))


def _set_strangers_apart(
    finished: list[tuple[int, Prepared]], known: Known
) -> tuple[list[Prepared], list[Fault]]:
    """Set apart what is about somebody whose Patient neither comes along nor is known: it has to wait.

    Nobody may come to be a patient here by the mere mention of a name.
    """
    present = {one.patients[0]: True for _, one in finished if one.resource_type == "Patient"}
    prepared: list[Prepared] = []
    faults: list[Fault] = []
    for index, one in finished:
        for ref in one.patients:
            if ref not in present:
                present[ref] = known.is_patient_known(ref)
        if one.resource_type == "Patient" or all(present[ref] for ref in one.patients):
            prepared.append(one)
        else:
            faults.append(state_fault(index, NotYetKnown(Reason.PATIENT_NOT_IMPORTED)))
    return prepared, faults


def _name_all(
    readers: Iterable[Reader], references: References
) -> tuple[list[Draft], list[int], list[Fault]]:
    """Read the entries, let each be referred to, and set apart those whose record is already there."""
    drafts: list[Draft] = []
    existing: list[int] = []
    faults: list[Fault] = []
    names: dict[str, None] = {}
    for read in readers:
        try:
            draft = read()
            if draft is not None:
                if _introduce(draft, references, names):
                    drafts.append(draft)
                else:
                    existing.append(draft.index)
        except Refused as refused:
            faults.append(state_fault(read.args[0], refused))
    return drafts, existing, faults


def _introduce(draft: Draft, references: References, names: dict[str, None]) -> bool:
    """Let a draft be referred to; tell whether it is new, or its condition finds what is there."""
    resource_type = draft.head.resource_type
    found = references.find_one(draft.condition) if draft.condition is not None else None
    target = f"{resource_type}/{found or draft.resource_id}"
    if found is None:
        require(target not in names, Reason.RESOURCE_INVALID, "a record stands twice")
        names[target] = None
        references.add_identifiers(resource_type, draft.resource_id, draft.identifiers)
    if draft.full_url:
        references.add_target(draft.full_url, target)
    if draft.head.id is not None and target != (own := f"{resource_type}/{draft.head.id}"):
        references.add_target(own, target)
    return found is None


def _resolve_all(
    drafts: Iterable[Draft], references: References, rules: LabelRules, faults: list[Fault]
) -> Iterator[ToDescribe]:
    """Resolve the references of drafts, and ask for descriptions of several at a time."""
    spelled = spell_rules(rules)
    resolved: list[Resolved] = []
    size_bytes = 0
    for draft in drafts:
        try:
            body = references.resolve(draft.body, base=draft.base)
        except Refused as refused:
            faults.append(state_fault(draft.index, refused))
            continue
        resolved.append(Resolved(draft.index, draft.head.resource_type, draft.resource_id, body))
        size_bytes += len(body)
        if len(resolved) == RESOURCES_PER_QUESTION or size_bytes > BYTES_PER_QUESTION:
            yield ToDescribe(spelled, resolved)
            resolved, size_bytes = [], 0
    if resolved:
        yield ToDescribe(spelled, resolved)


def _finish(draft: Draft, body: bytes, described: Described) -> Prepared:
    return Prepared(
        resource_type=draft.head.resource_type,
        resource_id=draft.resource_id,
        body=body,
        patients=described.patients,
        identifiers=draft.identifiers,
        facts=described.facts,
        is_irregular=bool(described.irregularity),
    )
