"""Whether a consent is in force on a day is one small table (LED-CON-18)."""

import itertools

import pytest

from iamata.ledger.bases import is_in_force
from iamata.ledger.entries import Consent, ConsentStatus, Patient
from iamata.model.ids import Commitment, KeyId, MemberId, PatientId
from iamata.model.instants import Day

TODAY = 100


def make_consent(*, until: int, status: ConsentStatus, is_custodial: bool, is_confirmed: bool) -> Consent:
    return Consent(
        patient=PatientId("p"),
        custodian=MemberId("hospital-a"),
        terms=Commitment("t"),
        until_day=Day(until),
        status=status,
        is_custodial=is_custodial,
        is_confirmed=is_confirmed,
    )


def make_patient(*, confirm_until: int | None, is_erased: bool) -> Patient:
    return Patient(
        custodian=MemberId("hospital-a"),
        keys=(KeyId("k"),),
        confirm_until_day=None if confirm_until is None else Day(confirm_until),
        is_erased=is_erased,
    )


@pytest.mark.parametrize(
    ("until", "status", "confirm_until", "custodial", "confirmed", "erased"),
    list(
        itertools.product(
            (TODAY - 1, TODAY, TODAY + 1),
            ConsentStatus,
            (None, TODAY - 1, TODAY, TODAY + 1),
            (False, True),
            (False, True),
            (False, True),
        )
    ),
)
def test_a_consent_is_in_force_just_where_nothing_ends_it(  # noqa: PLR0913  the whole table
    until: int,
    status: ConsentStatus,
    confirm_until: int | None,
    *,
    custodial: bool,
    confirmed: bool,
    erased: bool,
) -> None:
    consent = make_consent(until=until, status=status, is_custodial=custodial, is_confirmed=confirmed)
    patient = make_patient(confirm_until=confirm_until, is_erased=erased)
    ends = [
        until < TODAY,
        status is not ConsentStatus.ACTIVE,
        erased,
        custodial and not confirmed and confirm_until == TODAY - 1,
    ]

    assert is_in_force(consent, patient, day=TODAY) is not any(ends)
