"""Every expected "no", numbered for ever, and the one way to say it.

A reason's number stands in receipts on the ledger, so numbers are never reused or changed.
`docs/reference/reasons.md` explains each one; `api` and `cli` turn them into answers by `ReasonClass`.
"""

import enum
from typing import Final


class ReasonClass(enum.Enum):
    """What kind of "no" this is; the value is the exit code of the command line."""

    INVALID = 2
    """The input itself is wrong and will never be accepted."""
    FORBIDDEN = 3
    """The signer or the caller may not do this."""
    UNKNOWN = 4
    """What it names is not there, or the caller may not know that it is."""
    CONFLICT = 5
    """It contradicts what is already there."""
    LATE = 6
    """It came after its time."""
    UNAVAILABLE = 7
    """It could not be done now and may be later."""


class Reason(enum.IntEnum):
    """Why something was refused. 0 on the ledger means accepted and is no reason."""

    # 1xx: the envelope of a transaction
    MALFORMED = 100
    TOO_LARGE = 101
    NOT_CANONICAL = 102
    UNKNOWN_TYPE = 103
    BAD_SIGNATURE = 104
    FOREIGN_NETWORK = 105
    EXPIRED = 106
    EXPIRES_TOO_LATE = 107
    REPLAYED = 108
    UNKNOWN_SIGNER = 109
    WEAK_KEY = 110
    BAD_PROOF_OF_POSSESSION = 111

    # 2xx: members, persons, proposals
    NOT_A_MEMBER = 200
    MEMBER_NOT_ACTIVE = 201
    MEMBER_ALREADY_EXISTS = 202
    UNKNOWN_MEMBER = 203
    UNKNOWN_INVITATION = 204
    INVITATION_ALREADY_EXISTS = 205
    INVITATION_EXPIRED = 206
    NOT_THE_MEMBER = 207
    KEY_ALREADY_USED = 208
    UNKNOWN_KEY = 209
    TOO_MANY_KEYS = 210
    LAST_KEY = 211
    UNKNOWN_PERSON = 212
    PERSON_ALREADY_EXISTS = 213
    PERSON_NOT_ACTIVE = 214
    NOT_THE_PERSON = 215
    ROLE_MISSING = 216
    UNKNOWN_PROPOSAL = 217
    PROPOSAL_ALREADY_EXISTS = 218
    PROPOSAL_CLOSED = 219
    ALREADY_VOTED = 220
    PROPOSAL_NOT_APPLICABLE = 221
    LAST_MEMBER = 222
    PARAMETER_OUT_OF_RANGE = 223
    LAST_VALIDATOR = 224

    # 3xx: patients and consents
    UNKNOWN_PATIENT = 300
    PATIENT_ALREADY_EXISTS = 301
    NOT_THE_PATIENT = 302
    NOT_THE_CUSTODIAN = 303
    PATIENT_ERASED = 304
    PATIENT_NOT_CUSTODIAL = 305
    PATIENT_CUSTODIAL = 306
    UNKNOWN_CONSENT = 307
    CONSENT_ALREADY_EXISTS = 308
    CONSENT_ALREADY_EXPIRED = 309
    CONSENT_NOT_ACTIVE = 310
    CONSENT_OF_ANOTHER_PATIENT = 311
    STAFF_SIGNATURES_MISSING = 313
    CONSENT_NOT_CUSTODIAL = 315
    NOTHING_TO_LIFT = 316

    # 4xx: records and access
    ANCHOR_ALREADY_EXISTS = 400
    ACCESS_ALREADY_EXISTS = 401
    UNKNOWN_ACCESS = 402
    BASIS_NOT_ACTIVE = 403
    POLICY_FORBIDS = 404
    CONSENT_ON_FILE = 405
    TOO_MANY_OPEN_EMERGENCIES = 406
    EMERGENCY_TOO_LONG = 407
    EMERGENCY_OVER = 408
    PRIVILEGE_SUSPENDED = 409
    ALREADY_REVIEWED = 410
    REVIEWER_NOT_INDEPENDENT = 411
    UNKNOWN_EMERGENCY = 412
    EMERGENCY_ALREADY_EXISTS = 413
    UNKNOWN_RECIPIENT = 414

    # 5xx: decisions off the ledger
    NO_CONSENT = 500
    CONSENT_EXPIRED = 501
    PURPOSE_NOT_PERMITTED = 502
    RECIPIENT_NOT_PERMITTED = 503
    LABEL_NOT_PERMITTED = 504
    DATA_NOT_PERMITTED = 505
    EXCLUDED_BY_PATIENT = 506
    TERMS_NOT_HELD = 507
    NOT_FOUND = 508
    PERMIT_DOES_NOT_COVER = 509

    # 6xx: storage, files and input
    STORAGE_FULL = 600
    HOME_IN_USE = 601
    HOME_NOT_FOUND = 602
    HOME_ALREADY_EXISTS = 603
    HOME_CORRUPT = 604
    ENGINE_STOPPED = 605
    TOO_BUSY = 606
    RULES_UNKNOWN = 607
    LEDGER_FORKED = 608
    CONSENSUS_MISSING = 609
    ARCHIVE_BROKEN = 620
    ARCHIVE_UNSAFE = 621
    INPUT_TOO_LARGE = 622
    INPUT_TOO_DEEP = 623
    RESOURCE_INVALID = 624
    REFERENCE_UNRESOLVED = 625
    PATIENT_UNCLEAR = 626
    FILE_NOT_FOUND = 627
    ERASED = 628
    CANNOT_OPEN = 629
    INPUT_INVALID = 630
    WALLET_NOT_FOUND = 631
    WALLET_ALREADY_EXISTS = 632
    FAULT_FOUND = 633
    PATIENT_NOT_IMPORTED = 634
    NOT_AGREED = 635
    NETWORK_CONTINUED = 636

    # 7xx: between nodes
    NODE_UNREACHABLE = 700
    NOT_SIGNED = 701
    BODY_CHANGED = 702
    TOO_MANY_REQUESTS = 703
    TOO_SLOW = 704
    UNKNOWN_ADDRESS = 705
    WRONG_METHOD = 706
    WRONG_NODE = 707
    NODE_FAULT = 708
    ADDRESS_TAKEN = 709

    # 8xx: studies, datasets, runs and models
    UNKNOWN_STUDY = 800
    STUDY_ALREADY_EXISTS = 801
    STUDY_NOT_UNDER_REVIEW = 802
    PERMIT_NOT_ACTIVE = 803
    PURPOSE_PROHIBITED = 804
    NOT_THE_OWNER = 805
    NOT_A_SITE = 806
    CODE_NOT_REVIEWED = 807
    UNKNOWN_DATASET = 808
    DATASET_ALREADY_EXISTS = 809
    DATASET_NOT_ACTIVE = 810
    UNKNOWN_RUN = 811
    RUN_ALREADY_EXISTS = 812
    RUN_OVER = 813
    ALREADY_ATTESTED = 814
    SITES_DISAGREE = 815
    BUDGET_EXHAUSTED = 816
    UNKNOWN_MODEL = 817
    MODEL_ALREADY_EXISTS = 818

    # 85x: what cannot be learned from
    SCHEMA_INVALID = 850
    TABLE_CLASHES = 851
    VALUE_MISSING = 852
    VALUE_OUT_OF_BOUNDS = 853
    TOO_FEW_PATIENTS = 854
    COLUMN_CONSTANT = 855
    COLUMNS_COLLINEAR = 856
    ONE_CLASS_ONLY = 857
    NOT_CONVERGED = 858
    MODEL_CHANGED = 859
    MODEL_NOT_IN_USE = 860
    NOT_IN_COHORT = 861
    QUESTION_INVALID = 862

    # 87x: secure sums
    VALUE_NOT_ENCODABLE = 870
    TOO_FEW_SITES = 871
    QUERY_ALREADY_ANSWERED = 872
    ANOTHER_ROUND = 873
    VIEWS_DIFFER = 874
    OUT_OF_TURN = 875
    SITE_LEFT_OUT = 876
    SHARES_DO_NOT_FIT = 877
    ROUND_ABORTED = 878


ACCEPTED: Final = 0


class Refused(Exception):  # noqa: N818  the field's word: a refusal is an answer, not an error
    """Carry a reason, and ids that help to find what it is about, to the edge of the program."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.name}: {detail}" if detail else reason.name)
        self.reason = reason
        self.detail = detail


def require(condition: bool, reason: Reason, detail: str = "") -> None:  # noqa: FBT001  reads as a sentence
    """Refuse for `reason` unless `condition` holds."""
    if not condition:
        raise Refused(reason, detail)
