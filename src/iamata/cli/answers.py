"""What a refusal means at the command line: a sentence, and an exit code by class of reason."""

from typing import Final

from iamata.model.reasons import Reason, ReasonClass, Refused

EXIT_FAULT: Final = 1
"""`iamata verify` found a fault."""
EXIT_SYSTEM: Final = 7
"""The system refused, as `UNAVAILABLE` does."""
EXIT_BUG: Final = 70
"""Our bug (sysexits' EX_SOFTWARE)."""

SENTENCES: Final[dict[ReasonClass, dict[Reason, str]]] = {
    ReasonClass.INVALID: {
        Reason.MALFORMED: "It cannot be read: a part is missing, of the wrong type or out of its limits.",
        Reason.TOO_LARGE: "It is longer than allowed, or one more would be.",
        Reason.NOT_CANONICAL: "It means something, but is not spelled in the one way that counts.",
        Reason.UNKNOWN_TYPE: "These rules do not know this type, or this version.",
        Reason.FOREIGN_NETWORK: "It was made for another network.",
        Reason.WEAK_KEY: "The key is not one that only its holder can sign with.",
        Reason.PARAMETER_OUT_OF_RANGE: "A parameter lies outside the range that no vote can leave.",
        Reason.PATIENT_NOT_CUSTODIAL: "The patient holds a key already.",
        Reason.PATIENT_CUSTODIAL: "The custodian holds this patient's key: their own word is missing.",
        Reason.CONSENT_OF_ANOTHER_PATIENT: "The consent is another patient's.",
        Reason.CONSENT_NOT_CUSTODIAL: "The consent is the patient's own and needs no confirmation.",
        Reason.NOTHING_TO_LIFT: "The custodian has not narrowed the consent in this way.",
        Reason.EMERGENCY_TOO_LONG: "The emergency's end is past, or too far ahead.",
        Reason.ARCHIVE_BROKEN: "The archive cannot be read to its end.",
        Reason.ARCHIVE_UNSAFE: "The archive holds a path that leads out of it, or unpacks without end.",
        Reason.INPUT_TOO_LARGE: "The input is larger than allowed.",
        Reason.INPUT_TOO_DEEP: "The input is nested more deeply than allowed.",
        Reason.RESOURCE_INVALID: "The resource is not valid FHIR R4.",
        Reason.REFERENCE_UNRESOLVED: "The resource refers to something that is not there.",
        Reason.PATIENT_UNCLEAR: "The resource belongs to no patient, or to more than one.",
        Reason.CANNOT_OPEN: "The sealed bytes do not open with this key, or were changed.",
        Reason.INPUT_INVALID: "This cannot be used as it is.",
        Reason.FAULT_FOUND: "A proof or a stored part does not verify.",
    },
    ReasonClass.FORBIDDEN: {
        Reason.BAD_SIGNATURE: "A signature does not fit what it signs.",
        Reason.UNKNOWN_SIGNER: "The ledger does not know this key, or it is retired.",
        Reason.BAD_PROOF_OF_POSSESSION: "The key's holder did not sign for just this owner.",
        Reason.NOT_A_MEMBER: "Only a member's node may do this.",
        Reason.MEMBER_NOT_ACTIVE: "The member has applied, is suspended or has left.",
        Reason.NOT_THE_MEMBER: "The person is of another member's staff.",
        Reason.PERSON_NOT_ACTIVE: "The person was revoked.",
        Reason.NOT_THE_PERSON: "A person has to sign this, not a node or a patient.",
        Reason.ROLE_MISSING: "The person does not have the role that this needs.",
        Reason.NOT_THE_PATIENT: "The patient's own key did not sign.",
        Reason.NOT_THE_CUSTODIAN: "Another member holds this patient's records.",
        Reason.STAFF_SIGNATURES_MISSING: "Two persons of the custodian did not both approve just this.",
        Reason.BASIS_NOT_ACTIVE: "What the disclosure rests on does not hold in this block.",
        Reason.POLICY_FORBIDS: "The network's policy permits nothing where no consent is on file.",
        Reason.TOO_MANY_OPEN_EMERGENCIES: "Earlier emergencies of this person must be reviewed first.",
        Reason.PRIVILEGE_SUSPENDED: "This person may not break the glass: a review is bad or overdue.",
        Reason.REVIEWER_NOT_INDEPENDENT: "Only the custodian may review, or else a regulator.",
        Reason.NO_CONSENT: "No consent covers the request.",
        Reason.PURPOSE_NOT_PERMITTED: "The terms do not permit this purpose.",
        Reason.RECIPIENT_NOT_PERMITTED: "The terms do not name this recipient.",
        Reason.LABEL_NOT_PERMITTED: "The record's label is not permitted.",
        Reason.DATA_NOT_PERMITTED: "The terms do not cover this kind or period of data.",
        Reason.EXCLUDED_BY_PATIENT: "The patient has made an exception.",
        Reason.TERMS_NOT_HELD: "The custodian lacks the opening of a consent or restriction, so it denies.",
        Reason.PERMIT_DOES_NOT_COVER: "The permit is for something else.",
    },
    ReasonClass.UNKNOWN: {
        Reason.UNKNOWN_MEMBER: "No member has this name.",
        Reason.UNKNOWN_INVITATION: "There is no such invitation, or somebody took it.",
        Reason.UNKNOWN_KEY: "The key is not registered for this owner.",
        Reason.UNKNOWN_PERSON: "No person has this id.",
        Reason.UNKNOWN_PROPOSAL: "No proposal has this id.",
        Reason.UNKNOWN_PATIENT: "No patient has this pseudonym.",
        Reason.PATIENT_ERASED: "The patient's records were destroyed.",
        Reason.UNKNOWN_CONSENT: "No consent has this id.",
        Reason.UNKNOWN_ACCESS: "Reserved; no rule refuses with it.",
        Reason.UNKNOWN_EMERGENCY: "No emergency has this id.",
        Reason.UNKNOWN_RECIPIENT: "Reserved; no rule refuses with it.",
        Reason.NOT_FOUND: "There is no such record, or you may not know of it.",
        Reason.HOME_NOT_FOUND: "There is no home here; make one with `iamata network init`.",
        Reason.FILE_NOT_FOUND: "There is no such file.",
        Reason.ERASED: "It was destroyed, and the ledger says so.",
        Reason.WALLET_NOT_FOUND: "There is no such wallet, or it has no key for this member.",
    },
    ReasonClass.CONFLICT: {
        Reason.REPLAYED: "The log has it already.",
        Reason.MEMBER_ALREADY_EXISTS: "A member has, or had, this name.",
        Reason.INVITATION_ALREADY_EXISTS: "An invitation has this id.",
        Reason.KEY_ALREADY_USED: "The key speaks, or spoke, for somebody.",
        Reason.TOO_MANY_KEYS: "There are eight keys already.",
        Reason.LAST_KEY: "Without this key nobody could sign any more.",
        Reason.PERSON_ALREADY_EXISTS: "A person has this id.",
        Reason.PROPOSAL_ALREADY_EXISTS: "A proposal has this id.",
        Reason.ALREADY_VOTED: "This member has voted.",
        Reason.PROPOSAL_NOT_APPLICABLE: "What is proposed could not be carried out as things stand.",
        Reason.LAST_MEMBER: "Nobody would be left to decide.",
        Reason.LAST_VALIDATOR: "Nobody would be left to order blocks.",
        Reason.PATIENT_ALREADY_EXISTS: "This patient is enrolled already, and holds a key.",
        Reason.CONSENT_ALREADY_EXISTS: "A consent has this id, or it is narrowed in this way already.",
        Reason.CONSENT_NOT_ACTIVE: "The consent was withdrawn or replaced.",
        Reason.ANCHOR_ALREADY_EXISTS: "An anchor has this id.",
        Reason.ACCESS_ALREADY_EXISTS: "An access has this id.",
        Reason.CONSENT_ON_FILE: "The patient has decided, so no policy speaks instead.",
        Reason.ALREADY_REVIEWED: "The emergency was judged.",
        Reason.EMERGENCY_ALREADY_EXISTS: "An emergency has this id.",
        Reason.HOME_ALREADY_EXISTS: "There is something here already, and nothing was overwritten.",
        Reason.WALLET_ALREADY_EXISTS: "This wallet exists already, or has a key for this member.",
    },
    ReasonClass.LATE: {
        Reason.EXPIRED: "It came after its own end; write it anew.",
        Reason.EXPIRES_TOO_LATE: "It would live longer than the window in which replays are seen.",
        Reason.INVITATION_EXPIRED: "The invitation's last day is over, or lies too far ahead.",
        Reason.PROPOSAL_CLOSED: "The proposal is decided, past its last day, or open for too long.",
        Reason.CONSENT_ALREADY_EXPIRED: "The consent's last day is over.",
        Reason.EMERGENCY_OVER: "The emergency has ended.",
        Reason.CONSENT_EXPIRED: "The terms' period is over or has not begun.",
    },
    ReasonClass.UNAVAILABLE: {
        Reason.STORAGE_FULL: "The disk is full; nothing was half-done. Make room and ask again.",
        Reason.HOME_IN_USE: "Another process has this home open; stop it first.",
        Reason.HOME_CORRUPT: "This home is damaged; `iamata verify` names the place.",
        Reason.ENGINE_STOPPED: "The ledger is closed.",
        Reason.TOO_BUSY: "Too much is waiting; try again.",
        Reason.RULES_UNKNOWN: "The members agreed on rules that this program does not know yet.",
        Reason.LEDGER_FORKED: "Who orders the blocks has signed two histories; the evidence is kept.",
        Reason.NODE_UNREACHABLE: "The node does not answer, or does not answer as a node would.",
        Reason.CONSENSUS_MISSING: "CometBFT is not installed, or not in a version that works here.",
    },
}
"""Every reason, once, under its class. The class is decided here and nowhere else."""

CLASSES: Final = {reason: kind for kind, sentences in SENTENCES.items() for reason in sentences}


def describe_refusal(refused: Refused) -> str:
    """Say why, in a sentence, with the reason's name and number for those who look it up."""
    detail = f" ({refused.detail})" if refused.detail else ""
    return f"Refused: {get_sentence(refused.reason)}{detail} [{refused.reason.name} {int(refused.reason)}]"


def document_refusal(refused: Refused) -> dict[str, object]:
    """Say why, for machines."""
    return {
        "error": get_sentence(refused.reason),
        "reason": refused.reason.name,
        "number": int(refused.reason),
        "detail": refused.detail,
        "exit_code": get_exit_code(refused),
    }


def get_sentence(reason: Reason) -> str:
    """Say what a reason means."""
    return SENTENCES[CLASSES[reason]][reason]


def get_exit_code(refused: Refused) -> int:
    """Return a refusal's exit code: that of its class, or 1 where `verify` found a fault."""
    return EXIT_FAULT if refused.reason is Reason.FAULT_FOUND else CLASSES[refused.reason].value
