"""A permit: the value that a positive decision returns and that the vault demands.

Only `consent.decide` issues one; an architecture test holds everybody else to that. There is no way to
decode a permit from bytes, to copy or to pickle one, and its constructor wants a token that never leaves
this module.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec

from iamata.consent.profiles import ImplicitPolicy
from iamata.consent.requests import Request
from iamata.model.ids import ConsentId, PatientId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, require

NO_REDISCLOSURE: Final = "NORDSCLCD"
"""v3-ActCode: no redisclosure without a consent directive."""
PART_2_NOTICE: Final = "42-cfr-2.32"
"""The notice that prohibits redisclosure of substance use records (42 CFR 2.32)."""

_TOKEN: Final = object()


class Obligation(msgspec.Struct, frozen=True, kw_only=True):
    """What must accompany certain records when they leave."""

    code: str
    notice: str
    consent: ConsentId | None
    scope: tuple[str, ...]
    """What the consent covers, in plain words: the copy or clear explanation that 42 CFR 2.32 wants."""
    records: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """That one patient's records, listed, may be read by one requester, on one basis, now."""

    patient: PatientId
    consent: ConsentId | None
    """None where the implicit policy permits."""
    policy: ImplicitPolicy | None
    """None where a consent permits."""
    request: Request
    records: tuple[str, ...]
    at_ms: Instant
    obligations: tuple[Obligation, ...]
    others: tuple["Permit", ...]
    """What other patients permit of those records that are theirs too."""
    token: dataclasses.InitVar[object]
    _covered: dict[str, None] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self, token: object) -> None:
        if token is not _TOKEN:
            message = "only consent.decide issues permits"
            raise TypeError(message)
        object.__setattr__(self, "_covered", dict.fromkeys(self.records))

    def __reduce__(self) -> NoReturn:
        message = "a permit is neither copied nor pickled"
        raise TypeError(message)

    def covers(self, record: str, *, patient: PatientId, others: Sequence[PatientId] = ()) -> bool:
        """Tell whether a patient's record is permitted, and by everybody else whose record it is too."""
        is_named = patient == self.patient and record in self._covered
        if not others:
            return is_named
        return is_named and all(
            any(permit.covers(record, patient=other) for permit in self.others) for other in others
        )

    def require_covers(self, record: str, *, patient: PatientId, others: Sequence[PatientId] = ()) -> None:
        """Refuse a record that this permit does not cover."""
        is_covered = self.covers(record, patient=patient, others=others)
        require(is_covered, Reason.PERMIT_DOES_NOT_COVER)


def issue_permit(  # noqa: PLR0913  a permit says all of this, and nothing has a default
    *,
    patient: PatientId,
    consent: ConsentId | None,
    policy: ImplicitPolicy | None,
    request: Request,
    records: tuple[str, ...],
    at_ms: Instant,
    obligations: tuple[Obligation, ...],
) -> Permit:
    """Make a permit. For `consent.decide` alone."""
    return Permit(
        patient=patient,
        consent=consent,
        policy=policy,
        request=request,
        records=records,
        at_ms=at_ms,
        obligations=obligations,
        others=(),
        token=_TOKEN,
    )


def add_others(permit: Permit, others: Sequence[Permit]) -> Permit:
    """Join to a permit what other patients permit of its records. For `consent.decide` alone."""
    return dataclasses.replace(permit, others=tuple(others), token=_TOKEN)
