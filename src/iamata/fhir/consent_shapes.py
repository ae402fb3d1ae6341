"""The shape of a FHIR R4 Consent as IHE PCF 1.1 constrains it, and nothing beyond.

An element that is not here is refused when a resource is read: PCF forbids it (`action`, `verification`,
a third level of provisions), or it changes the meaning and terms cannot hold it (`modifierExtension`,
`policyRule`). `class` and `code` are our declared superset.
"""

from typing import Annotated, Literal

import msgspec

_Some = msgspec.Meta(min_length=1)


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every element of a Consent may have; an extension is not among it."""

    id: str | None = None


class Coding(Shape, frozen=True, kw_only=True):
    """A code of a system."""

    system: str
    code: str
    version: str | None = None
    display: str | None = None


class Concept(Shape, frozen=True, kw_only=True):
    """Codings of one concept; text alone says nothing that can be enforced."""

    coding: Annotated[tuple[Coding, ...], _Some]
    text: str | None = None


class Identifier(Shape, frozen=True, kw_only=True):
    """A business identifier."""

    system: str
    value: str


class Reference(Shape, frozen=True, kw_only=True):
    """A literal reference, or an identifier."""

    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None
    display: str | None = None


class Period(Shape, frozen=True, kw_only=True):
    """Dates, of which a missing one leaves the period open."""

    start: str | None = None
    end: str | None = None


class Actor(Shape, frozen=True, kw_only=True):
    """A recipient (role IRCP)."""

    role: Concept
    reference: Reference


class Data(Shape, frozen=True, kw_only=True):
    """Records by their relation to a resource."""

    meaning: Literal["instance", "related", "authoredby"]
    reference: Reference


class Policy(Shape, frozen=True, kw_only=True):
    """The text that was presented."""

    uri: str


class ExceptionShape(Shape, frozen=True, kw_only=True, rename={"class_": "class"}):
    """A provision without provisions of its own: PCF allows one level."""

    type: Literal["permit", "deny"]
    period: Period = Period()
    actor: tuple[Actor, ...] = ()
    securityLabel: tuple[Coding, ...] = ()  # noqa: N815  FHIR's spelling
    purpose: tuple[Coding, ...] = ()
    class_: tuple[Coding, ...] = ()
    code: tuple[Concept, ...] = ()
    dataPeriod: Period = Period()  # noqa: N815  FHIR's spelling
    data: tuple[Data, ...] = ()


class ProvisionShape(ExceptionShape, frozen=True, kw_only=True):
    """The root: PCF wants its type, R4's base text notwithstanding."""

    provision: tuple[ExceptionShape, ...] = ()


class ConsentShape(Shape, frozen=True, kw_only=True):
    """A Consent in force."""

    resourceType: Literal["Consent"]  # noqa: N815  FHIR's spelling
    meta: dict[str, object] = {}
    language: str | None = None
    text: dict[str, object] = {}
    extension: tuple[object, ...] = ()
    identifier: tuple[object, ...] = ()
    status: Literal["active"]
    scope: Concept
    category: Annotated[tuple[Concept, ...], _Some]
    patient: Reference
    dateTime: str  # noqa: N815  FHIR's spelling
    performer: Annotated[tuple[Reference, ...], _Some]
    organization: Annotated[tuple[Reference, ...], _Some]
    sourceReference: Reference  # noqa: N815  FHIR's spelling
    policy: Annotated[tuple[Policy, ...], msgspec.Meta(min_length=1, max_length=1)]
    provision: ProvisionShape
