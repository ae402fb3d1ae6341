"""The neutral form of a consent: one rule, and one level of exceptions to it.

Frozen structs, so that terms have canonical bytes (`encode_struct`) to which the ledger's commitment
binds. How a rule is applied stands in `decide` and `matching`; how FHIR spells it in `fhir.consents`.
"""

import enum
from typing import Annotated, Final

import msgspec

from iamata.model.canonical import encode_struct
from iamata.model.instants import DAY_MAX, Day, Instant
from iamata.model.reasons import Reason, Refused, require

TERMS_BYTES_MAX: Final = 65_536
EXCEPTIONS_MAX: Final = 32
RECIPIENTS_MAX: Final = 64
PURPOSES_MAX: Final = 32
CLASSES_MAX: Final = 64
LABELS_MAX: Final = 32
CODES_MAX: Final = 256
SELECTORS_MAX: Final = 256
URI_LENGTH_MAX: Final = 512
DATA_DAY_MIN: Final = -200_000
"""A day in the year 1422: data is older than the ledger, and than 1970."""

_FHIR_REFERENCE: Final = r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.\-]{1,64}|(https?://|urn:)[!-~]{1,256}"

Recipient = Annotated[
    str, msgspec.Meta(pattern=rf"\A((member|person|role):[a-z0-9\-]{{2,64}}|{_FHIR_REFERENCE})\Z")
]
"""Who: `member:<MemberId>`, `person:<PersonId>`, `role:<Role>`, or a FHIR reference."""
Reference = Annotated[str, msgspec.Meta(pattern=rf"\A({_FHIR_REFERENCE})\Z")]
"""A resource or its author, as records refer to it."""
Code = Annotated[str, msgspec.Meta(pattern=r"\A([!-{}~]{1,256}\|)?[!-{}~]{1,64}\Z")]
"""A code; its system and a bar stand before it unless the element implies the system (`TREAT`, `PSY`)."""
SystemCode = Annotated[str, msgspec.Meta(pattern=r"\A[!-{}~]{1,256}\|[!-{}~]{1,64}\Z")]
ResourceType = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][A-Za-z]{1,63}\Z")]
DataDay = Annotated[int, msgspec.Meta(ge=DATA_DAY_MIN, le=DAY_MAX)]
"""Whole UTC days since 1970-01-01, negative before it."""
Uri = Annotated[str, msgspec.Meta(pattern=rf"\A[!-~]{{1,{URI_LENGTH_MAX}}}\Z")]


class Ruling(enum.StrEnum):
    """What a rule says about what it matches."""

    PERMIT = "permit"
    DENY = "deny"


class Meaning(enum.StrEnum):
    """How a record and the resource that a selector names hang together (FHIR R4 consent-data-meaning)."""

    INSTANCE = "instance"
    RELATED = "related"
    AUTHORED_BY = "authoredby"


class Element(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of terms."""


class Span(Element, frozen=True, kw_only=True):
    """Whole UTC days, both ends included; an end that is not given is open."""

    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None:
            require(self.first <= self.last, Reason.MALFORMED, "a period that ends before it begins")

    @property
    def is_unbounded(self) -> bool:
        """Tell whether every day lies in it."""
        return self.first is None and self.last is None


class Period(Span, frozen=True, kw_only=True):
    """Days on which a rule can hold."""

    first: Day | None = None
    last: Day | None = None


class DataPeriod(Span, frozen=True, kw_only=True):
    """Days on which data can have come to be."""

    first: DataDay | None = None
    last: DataDay | None = None


class Selector(Element, frozen=True, kw_only=True):
    """Records that are one resource, belong to it, or were written by it."""

    meaning: Meaning
    reference: Reference


class Rule(Element, frozen=True, kw_only=True):
    """A ruling on what matches every element that is given; inside one element, one match suffices."""

    decision: Ruling
    recipients: Annotated[tuple[Recipient, ...], msgspec.Meta(max_length=RECIPIENTS_MAX)] = ()
    """Empty: every member of the network, and its staff."""
    purposes: Annotated[tuple[Code, ...], msgspec.Meta(max_length=PURPOSES_MAX)] = ()
    """v3-ActReason; a code covers its narrower codes. Empty: every known purpose."""
    classes: Annotated[tuple[ResourceType, ...], msgspec.Meta(max_length=CLASSES_MAX)] = ()
    labels: Annotated[tuple[Code, ...], msgspec.Meta(max_length=LABELS_MAX)] = ()
    """v3-Confidentiality and v3-ActCode. What a permit without labels releases is the profile's choice."""
    codes: Annotated[tuple[SystemCode, ...], msgspec.Meta(max_length=CODES_MAX)] = ()
    data: Annotated[tuple[Selector, ...], msgspec.Meta(max_length=SELECTORS_MAX)] = ()
    data_period: DataPeriod = DataPeriod()
    """When the data came to be."""
    validity: Period = Period()
    """When the rule holds."""


class Terms(Rule, frozen=True, kw_only=True):
    """What a patient signs: a rule, its exceptions, and the text in which it was put to the patient."""

    recorded_ms: Instant
    policy: Uri
    """The version of the text that the patient was shown."""
    exceptions: Annotated[tuple[Rule, ...], msgspec.Meta(max_length=EXCEPTIONS_MAX)] = ()
    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1


_TERMS: Final = msgspec.json.Decoder(Terms)


def decode_terms(raw: bytes) -> Terms:
    """Read terms from their canonical bytes, or refuse them."""
    require(len(raw) <= TERMS_BYTES_MAX, Reason.TOO_LARGE, "terms")
    try:
        terms = _TERMS.decode(raw)
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "terms") from error
    require(encode_struct(terms) == raw, Reason.NOT_CANONICAL, "terms")
    return terms


def inherit(exception: Rule, terms: Terms) -> Rule:
    """Read what an exception leaves open against release.

    A permitting exception takes it from the rule that it is an exception to; a denial means all of it.
    Only the time in which an exception holds is its own, inside the time of its terms.
    """
    if exception.decision is Ruling.DENY:
        return exception
    return Rule(
        decision=exception.decision,
        recipients=exception.recipients or terms.recipients,
        purposes=exception.purposes or terms.purposes,
        classes=exception.classes or terms.classes,
        labels=exception.labels or terms.labels,
        codes=exception.codes or terms.codes,
        data=exception.data or terms.data,
        data_period=terms.data_period if exception.data_period.is_unbounded else exception.data_period,
        validity=exception.validity,
    )
