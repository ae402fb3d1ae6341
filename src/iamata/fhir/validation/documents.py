"""Check a document: a resource, or a bundle whose entries are opened one at a time.

A bundle may be larger than a resource may be. So what is around its entries is checked as a bundle, and
each entry as an entry, within the bounds of a resource.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from iamata.fhir.bundles import BUNDLE_COMMAS_MAX, BUNDLE_ENTRIES_MAX
from iamata.fhir.resources import read_resource, read_type
from iamata.fhir.validation.checking import check, validate
from iamata.fhir.validation.issues import Issue, state_refusal
from iamata.model.reasons import Reason, Refused, require

_ENVELOPES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LISTS: Final = msgspec.json.Decoder(list[msgspec.Raw])


def validate_document(content: bytes) -> Iterator[tuple[Issue, ...]]:
    """Check a compact document, and tell what is wrong with each resource in it, the bundle itself first.

    What cannot be read at all is refused.
    """
    if read_type(content) == "Bundle":
        yield from _validate_bundle(content)
    else:
        yield validate(read_resource(content).elements)


def _validate_bundle(content: bytes) -> Iterator[tuple[Issue, ...]]:
    require(content.count(b",") <= BUNDLE_COMMAS_MAX, Reason.INPUT_TOO_LARGE, "too many elements")
    envelope = _ENVELOPES.decode(content)
    entries = _take_entries(envelope)
    require(len(entries) <= BUNDLE_ENTRIES_MAX, Reason.INPUT_TOO_LARGE, "too many entries")
    yield validate(read_resource(msgspec.json.encode(envelope)).elements)
    for index, entry in enumerate(entries):
        path = f"Bundle.entry[{index}]"
        try:
            yield check("Bundle.entry", read_resource(bytes(entry)).elements, path=path)
        except Refused as refused:
            yield (state_refusal(refused, path),)


def _take_entries(envelope: dict[str, msgspec.Raw]) -> list[msgspec.Raw]:
    """Take the entries out of a bundle; leave there what is no list, or an empty one, to be named."""
    raw = bytes(envelope.get("entry", msgspec.Raw()))
    if raw[:1] != b"[" or raw == b"[]":
        return []
    del envelope["entry"]
    return _LISTS.decode(raw)
