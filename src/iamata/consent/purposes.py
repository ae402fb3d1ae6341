"""Purposes of use (HL7 v3-ActReason) and which of them lie inside which.

One departure from HL7's tree: emergencies (ETREAT, and BTG inside it) do not lie inside TREAT. Breaking
the glass is declared, timed and reviewed; a consent to treatment does not say yes to it in passing.
"""

from typing import Final

TREATMENT: Final = "TREAT"
RESEARCH: Final = "HRESCH"
TEACHING: Final = "TRAIN"
QUALITY: Final = "HQUALIMP"
PUBLIC_HEALTH: Final = "PUBHLTH"
EMERGENCIES: Final = ("ETREAT", "BTG")

_BROADER: Final = {
    **dict.fromkeys(("CAREMGT", "COC", "POPHLTH"), TREATMENT),
    "BTG": "ETREAT",
    **dict.fromkeys(("CLMATTCH", "COVAUTH", "COVERAGE", "REMITADV"), "HPAYMT"),
    **dict.fromkeys(("ELIGDTRM", "ELIGVER", "ENROLLM", "MILDCRG"), "COVERAGE"),
    **dict.fromkeys(
        ("DONAT", "FRAUD", "GOV", "HACCRED", "HCOMPL", "HDECD", "HDIRECT", "HLEGAL"), "HOPERAT"
    ),
    **dict.fromkeys(("HOUTCOMS", "HPRGRP", QUALITY, "HSYSADMIN", "MEMADMIN", "PATADMIN"), "HOPERAT"),
    **dict.fromkeys(("PATSFTY", "PERFMSR", "RECORDMGT", TEACHING), "HOPERAT"),
    **dict.fromkeys(("BIORCH", "CLINTRCH", "DSRCH", "POARCH", "TRANSRCH"), RESEARCH),
    **dict.fromkeys(("CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH"), "CLINTRCH"),
    **dict.fromkeys(("FAMRQT", "PWATRNY", "SUPNWK"), "PATRQT"),
    **dict.fromkeys(("DISASTER", "THREAT"), PUBLIC_HEALTH),
}

PLAIN_WORDS: Final = {
    TREATMENT: "treatment",
    "ETREAT": "treatment in an emergency",
    "BTG": "a declared emergency (breaking the glass)",
    "HPAYMT": "payment",
    "HOPERAT": "running the health service",
    QUALITY: "improving quality",
    TEACHING: "training and education",
    "HLEGAL": "legal purposes",
    RESEARCH: "research",
    "CLINTRCH": "clinical trials",
    "PATRQT": "the patient's own request",
    "FAMRQT": "the family's request",
    "PWATRNY": "a request by power of attorney",
    PUBLIC_HEALTH: "public health",
    "HMARKT": "marketing",
    "COVERAGE": "checking insurance cover",
}


def list_broader(purpose: str) -> tuple[str, ...]:
    """List a purpose and all that it lies inside: a rule that names any of these covers it."""
    chain = [purpose]
    while (broader := _BROADER.get(chain[-1])) is not None:
        chain.append(broader)
    return tuple(chain)


def is_known(purpose: str) -> bool:
    """Tell whether the purpose is one of ours; an unknown one is covered only where a rule names it."""
    return purpose in _BROADER or purpose in PLAIN_WORDS
