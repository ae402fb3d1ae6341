"""Who a Patient is to somebody in an emergency: family name, given name and day of birth, spelt one way."""

from typing import Final

import msgspec

from iamata.model.reasons import Reason, require

DEMOGRAPHICS_SYSTEM: Final = "urn:iamata:demographics"
"""System of the identifier under which a Patient is found by its demographics."""
NAMES_MAX: Final = 16


class _Name(msgspec.Struct):
    family: str = ""
    given: tuple[str, ...] = ()


class _Patient(msgspec.Struct):
    name: tuple[_Name, ...] = ()
    birthDate: str = ""  # noqa: N815  FHIR's spelling


def spell_demographics(family: str, given: str, born: str) -> str:
    """Spell name and day of birth exactly, but for case and white space; refuse a part that is missing."""
    parts = [" ".join(part.casefold().split()) for part in (family, given, born)]
    require(all(parts), Reason.INPUT_INVALID, "family name, given name and day of birth")
    return "|".join(parts)


def list_demographics(body: bytes) -> list[str]:
    """List the spellings by which a Patient resource is found; none where it lacks name or day of birth."""
    try:
        patient = _PATIENTS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return list(
        dict.fromkeys(
            spell_demographics(name.family, name.given[0], patient.birthDate)
            for name in patient.name[:NAMES_MAX]
            if name.family.strip() and name.given and name.given[0].strip() and patient.birthDate.strip()
        )
    )


_PATIENTS: Final = msgspec.json.Decoder(_Patient)
