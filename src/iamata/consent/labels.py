"""Security labels (HL7 HCS): how confidential a record is, and in which ways it is sensitive."""

from collections.abc import Iterator
from typing import Final

NORMAL: Final = "N"
RESTRICTED: Final = "R"
CONFIDENTIALITY: Final = ("U", "L", "M", "N", "R", "V")
"""v3-Confidentiality, from the least to the most protected."""

SUBSTANCE_USE: Final = ("ETH", "ETHUD", "OPIOIDUD")
"""What 42 CFR part 2 protects beyond the consent: no redisclosure without a notice."""

CATEGORIES: Final = {
    "psychiatry": ("PSY",),
    "HIV": ("HIV",),
    "substance use": SUBSTANCE_USE,
    "sexual health": ("SEX",),
    "genetics": ("GDIS",),
    "violence": ("SDV",),
}
"""Sensitive categories in plain words, each with its v3-ActCode codes, the broadest first."""
SENSITIVE: Final = tuple(code for codes in CATEGORIES.values() for code in codes)

PLAIN_WORDS: Final = {
    "ETHUD": "alcohol use",
    "OPIOIDUD": "opioid use",
    **{codes[0]: category for category, codes in CATEGORIES.items()},
}

_BROADER: Final = dict.fromkeys(("ETHUD", "OPIOIDUD"), "ETH")


def compute_rank(labels: tuple[str, ...]) -> int:
    """Tell how confidential a record is; one that only says in which way it is sensitive is restricted."""
    return max(list_ranks(labels), default=CONFIDENTIALITY.index(RESTRICTED))


def list_ranks(labels: tuple[str, ...]) -> list[int]:
    """List the confidentiality codes among labels by their place in the order."""
    return [CONFIDENTIALITY.index(label) for label in labels if label in CONFIDENTIALITY]


def list_sensitivities(labels: tuple[str, ...]) -> Iterator[str]:
    """List the labels that say in which way a record is sensitive; a label we do not know counts as one."""
    return (label for label in labels if label not in CONFIDENTIALITY)


def is_named(sensitivity: str, labels: tuple[str, ...]) -> bool:
    """Tell whether labels name a sensitivity or what it lies inside."""
    return sensitivity in labels or _BROADER.get(sensitivity) in labels
