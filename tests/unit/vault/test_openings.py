"""Openings are kept sealed, once, and are erased with their patient."""

from pathlib import Path

import pytest

from iamata.model.reasons import Refused
from iamata.testing.vault_samples import ANNA, BORIS, SECRET_WORDS, make_opening
from iamata.vault.custody import Custody
from iamata.vault.openings import erase_openings, find_opening, keep_opening, list_openings
from iamata.vault.verification import verify_openings


def test_an_opening_comes_back_as_it_was_kept(custody: Custody) -> None:
    opening = make_opening("consent-1")
    keep_opening(custody, opening)

    assert find_opening(custody, "consent-1") == opening
    assert list(list_openings(custody, ANNA)) == [opening]
    assert find_opening(custody, "consent-2") is None


def test_the_same_opening_again_changes_nothing(custody: Custody) -> None:
    keep_opening(custody, make_opening("consent-1"))
    keep_opening(custody, make_opening("consent-1"))

    assert len(list(verify_openings(custody))) == 1


def test_another_opening_under_a_name_that_is_taken_is_refused(custody: Custody) -> None:
    keep_opening(custody, make_opening("consent-1"))

    with pytest.raises(Refused, match="INPUT_INVALID"):
        keep_opening(custody, make_opening("consent-1", payload=b"other terms"))


def test_no_file_shows_what_an_opening_says(custody: Custody, home: Path) -> None:
    keep_opening(custody, make_opening("consent-1"))

    for path in (home / "vault").iterdir():
        assert SECRET_WORDS not in path.read_bytes()


def test_openings_are_erased_for_one_patient_alone(custody: Custody) -> None:
    keep_opening(custody, make_opening("consent-1"))
    keep_opening(custody, make_opening("consent-2", patient=BORIS))

    assert erase_openings(custody, ANNA) == 1

    assert [one.name for one in verify_openings(custody)] == ["consent-2"]
