"""Read the resources of one type from documents that nobody prepared: for looking, not for keeping.

References inside a bundle become `Type/id`, as they would when it is imported; what nobody here has stays
as it is written. Nothing is assigned to a patient, labelled or refused for what it refers to.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from iamata.fhir.bundles import Draft, draft_entry, draft_resource, read_bundle
from iamata.fhir.exact import Exact, Read, read_exact
from iamata.fhir.preparing import Fault, state_fault
from iamata.fhir.references import PresentReferences, References
from iamata.fhir.resources import read_type
from iamata.model.reasons import Refused

Found: TypeAlias = Exact | Fault


def read_document(content: bytes, resource_type: str, read: Read = read_exact) -> Iterator[Found]:
    """Read a compact document: the entries of a bundle, or a single resource."""
    if read_type(content) != "Bundle":
        yield from read_lines([(0, content)], resource_type, read)
        return
    references = PresentReferences()
    drafts: list[Draft] = []
    for index, raw in enumerate(read_bundle(content).entry):
        try:
            draft = draft_entry(index, raw)
        except Refused as refused:
            yield state_fault(index, refused)
            continue
        if draft is not None:
            _introduce(draft, references)
            if draft.head.resource_type == resource_type:
                drafts.append(draft)
    for draft in drafts:
        yield _finish(draft, references, read)


def read_lines(
    lines: Iterable[tuple[int, bytes | Refused]], resource_type: str, read: Read = read_exact
) -> Iterator[Found]:
    """Read resources that stand alone, each with its index in its source."""
    for index, line in lines:
        try:
            draft = draft_resource(index, line)
        except Refused as refused:
            yield state_fault(index, refused)
            continue
        if draft.head.resource_type == resource_type:
            yield _finish(draft, None, read)


def _introduce(draft: Draft, references: References) -> None:
    target = f"{draft.head.resource_type}/{draft.resource_id}"
    if draft.full_url:
        references.add_target(draft.full_url, target)


def _finish(draft: Draft, references: References | None, read: Read) -> Found:
    body = draft.body if references is None else references.resolve(draft.body, base=draft.base)
    try:
        tree = read(body)
    except Refused as refused:
        return state_fault(draft.index, refused)
    tree["id"] = draft.resource_id
    return tree
