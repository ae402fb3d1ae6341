"""What a study asks of consents: EHDS's word for its purpose, put into the vocabulary of consents.

A consent names purposes by their codes in HL7's v3-ActReason. Policy and statistics have none there, so
nobody can agree to them, and such a study is refused before it is proposed.
"""

from typing import Final

from iamata.consent.purposes import PLAIN_WORDS, PUBLIC_HEALTH, QUALITY, RESEARCH, TEACHING
from iamata.consent.requests import Request
from iamata.ledger.entries import EhdsPurpose, Study
from iamata.model.reasons import Reason, Refused

CODES: Final = {
    EhdsPurpose.PUBLIC_HEALTH: PUBLIC_HEALTH,
    EhdsPurpose.EDUCATION: TEACHING,
    EhdsPurpose.RESEARCH: RESEARCH,
    EhdsPurpose.CARE: QUALITY,
}
"""Not TREAT for care: what one agrees to there is one's own treatment, not better care for others."""


def find_request(study: Study) -> Request | None:
    """Return what a study's owner asks of a patient's consents, None where no consent can say yes to it."""
    code = CODES.get(study.purpose)
    return None if code is None else Request(recipients=(f"member:{study.owner}",), purpose=code)


def require_code(purpose: EhdsPurpose) -> str:
    """Return the code that consents have for a study's purpose, or refuse a purpose without one."""
    code = CODES.get(purpose)
    if code is None:
        known = ", ".join(f"{one} ({CODES[one]})" for one in CODES)
        detail = f"no consent can name «{purpose}», so no patient could agree; they can name {known}"
        raise Refused(Reason.PURPOSE_NOT_PERMITTED, detail)
    return code


def spell_purpose(study: Study) -> str:
    """Say what a study is for in the words in which its patients read of accesses and consents."""
    return PLAIN_WORDS[CODES[study.purpose]] if study.purpose in CODES else str(study.purpose)
