"""What a refusal means at the command line: a sentence, and an exit code by class of reason."""

from typing import Final

from iamata.model.reasons import Reason, Refused
from iamata.wire.sentences import CLASSES, get_sentence, spell_refusal

EXIT_FAULT: Final = 1
"""`iamata verify` found a fault."""
EXIT_SYSTEM: Final = 7
"""The system refused, as `UNAVAILABLE` does."""
EXIT_BUG: Final = 70
"""Our bug (sysexits' EX_SOFTWARE)."""


def describe_refusal(refused: Refused) -> str:
    """Say why, in a sentence, with the reason's name and number for those who look it up."""
    return f"Refused: {spell_refusal(refused.reason, refused.detail)}"


def document_refusal(refused: Refused) -> dict[str, object]:
    """Say why, for machines."""
    return {
        "error": get_sentence(refused.reason),
        "reason": refused.reason.name,
        "number": int(refused.reason),
        "detail": refused.detail,
        "exit_code": get_exit_code(refused),
    }


def get_exit_code(refused: Refused) -> int:
    """Return a refusal's exit code: that of its class, or 1 where `verify` found a fault."""
    return EXIT_FAULT if refused.reason is Reason.FAULT_FOUND else CLASSES[refused.reason].value
