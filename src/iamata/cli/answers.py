"""What a refusal means at the command line: a sentence, and an exit code by class of reason."""

from typing import Final

from iamata.model.reasons import Reason, ReasonClass, Refused

EXIT_FAULT: Final = 1
"""`iamata verify` found a fault."""
EXIT_SYSTEM: Final = 7
"""The system refused, as `UNAVAILABLE` does."""
EXIT_BUG: Final = 70
"""Our bug (sysexits' EX_SOFTWARE)."""

_C = ReasonClass
CLASSES: Final[dict[Reason, ReasonClass]] = {
    **dict.fromkeys(Reason, _C.INVALID),
    **dict.fromkeys(
        (
            Reason.BAD_SIGNATURE,
            Reason.UNKNOWN_SIGNER,
            Reason.BAD_PROOF_OF_POSSESSION,
            Reason.NOT_A_MEMBER,
            Reason.MEMBER_NOT_ACTIVE,
            Reason.NOT_THE_MEMBER,
            Reason.PERSON_NOT_ACTIVE,
            Reason.NOT_THE_PERSON,
            Reason.ROLE_MISSING,
            Reason.NOT_THE_PATIENT,
            Reason.NOT_THE_CUSTODIAN,
            Reason.STAFF_SIGNATURES_MISSING,
            Reason.BASIS_NOT_ACTIVE,
            Reason.POLICY_FORBIDS,
            Reason.TOO_MANY_OPEN_EMERGENCIES,
            Reason.PRIVILEGE_SUSPENDED,
            Reason.REVIEWER_NOT_INDEPENDENT,
            Reason.NO_CONSENT,
            Reason.PURPOSE_NOT_PERMITTED,
            Reason.RECIPIENT_NOT_PERMITTED,
            Reason.LABEL_NOT_PERMITTED,
            Reason.DATA_NOT_PERMITTED,
            Reason.EXCLUDED_BY_PATIENT,
            Reason.TERMS_NOT_HELD,
            Reason.PERMIT_DOES_NOT_COVER,
        ),
        _C.FORBIDDEN,
    ),
    **dict.fromkeys(
        (
            Reason.UNKNOWN_MEMBER,
            Reason.UNKNOWN_INVITATION,
            Reason.UNKNOWN_KEY,
            Reason.UNKNOWN_PERSON,
            Reason.UNKNOWN_PROPOSAL,
            Reason.UNKNOWN_PATIENT,
            Reason.UNKNOWN_CONSENT,
            Reason.UNKNOWN_ACCESS,
            Reason.UNKNOWN_EMERGENCY,
            Reason.UNKNOWN_RECIPIENT,
            Reason.NOT_FOUND,
            Reason.HOME_NOT_FOUND,
            Reason.FILE_NOT_FOUND,
            Reason.WALLET_NOT_FOUND,
            Reason.ERASED,
            Reason.PATIENT_ERASED,
        ),
        _C.UNKNOWN,
    ),
    **dict.fromkeys(
        (
            Reason.REPLAYED,
            Reason.MEMBER_ALREADY_EXISTS,
            Reason.INVITATION_ALREADY_EXISTS,
            Reason.KEY_ALREADY_USED,
            Reason.TOO_MANY_KEYS,
            Reason.LAST_KEY,
            Reason.PERSON_ALREADY_EXISTS,
            Reason.PROPOSAL_ALREADY_EXISTS,
            Reason.ALREADY_VOTED,
            Reason.PROPOSAL_NOT_APPLICABLE,
            Reason.LAST_MEMBER,
            Reason.PATIENT_ALREADY_EXISTS,
            Reason.CONSENT_ALREADY_EXISTS,
            Reason.CONSENT_NOT_ACTIVE,
            Reason.ANCHOR_ALREADY_EXISTS,
            Reason.ACCESS_ALREADY_EXISTS,
            Reason.CONSENT_ON_FILE,
            Reason.ALREADY_REVIEWED,
            Reason.EMERGENCY_ALREADY_EXISTS,
            Reason.HOME_ALREADY_EXISTS,
            Reason.WALLET_ALREADY_EXISTS,
        ),
        _C.CONFLICT,
    ),
    **dict.fromkeys(
        (
            Reason.EXPIRED,
            Reason.EXPIRES_TOO_LATE,
            Reason.INVITATION_EXPIRED,
            Reason.PROPOSAL_CLOSED,
            Reason.CONSENT_ALREADY_EXPIRED,
            Reason.EMERGENCY_OVER,
            Reason.CONSENT_EXPIRED,
        ),
        _C.LATE,
    ),
    **dict.fromkeys(
        (
            Reason.STORAGE_FULL,
            Reason.HOME_IN_USE,
            Reason.HOME_CORRUPT,
            Reason.ENGINE_STOPPED,
            Reason.TOO_BUSY,
        ),
        _C.UNAVAILABLE,
    ),
}

_SENTENCES: Final[dict[Reason, str]] = {
    Reason.NOT_FOUND: "There is no such record, or you may not know of it.",
    Reason.HOME_IN_USE: "Another process has this home open; stop it first.",
    Reason.HOME_NOT_FOUND: "There is no home here; make one with `iamata network init`.",
    Reason.HOME_ALREADY_EXISTS: "There is something here already, and nothing was overwritten.",
    Reason.STORAGE_FULL: "The disk is full; nothing was half-done. Make room and ask again.",
    Reason.HOME_CORRUPT: "This home is damaged; `iamata verify` names the place.",
}


def describe_refusal(refused: Refused) -> str:
    """Say why, in a sentence, with the reason's name and number for those who look it up."""
    sentence = _SENTENCES.get(refused.reason, refused.reason.name.replace("_", " ").capitalize() + ".")
    detail = f" ({refused.detail})" if refused.detail else ""
    return f"Refused: {sentence}{detail} [{refused.reason.name} {int(refused.reason)}]"


def get_exit_code(refused: Refused) -> int:
    """Return the exit code of a refusal: 2 invalid, 3 forbidden, 4 unknown, 5 conflict, 6 late, 7 unavailable."""
    if refused.reason is Reason.FAULT_FOUND:
        return EXIT_FAULT
    return CLASSES[refused.reason].value
