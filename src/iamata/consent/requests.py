"""What a decision is asked: who wants to read for what, and what each record is."""

from typing import Final

import msgspec

REQUESTERS_MAX: Final = 64


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asks, in every capacity that was authenticated, and the purpose that was declared."""

    recipients: tuple[str, ...]
    """`person:…`, `member:…`, `role:…`, or FHIR references, groups included."""
    purpose: str
    """v3-ActReason, or a system, a bar and a code."""


class RecordFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """What a decision may know about a record: everything that terms can select by, and no content."""

    record: str
    """The reference by which a permit will name it: type and id."""
    resource_type: str
    labels: tuple[str, ...]
    days: tuple[int, int] | None = None
    """The first and the last UTC day in which the data may have come to be; None where nobody said."""
    authors: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    codes: tuple[tuple[str, str], ...] = ()
    """Systems and codes."""
