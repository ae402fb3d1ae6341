"""Studies: what a member wants to learn, and the permit that reviewers of other members grant."""

from typing import Annotated, Final

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import EhdsPurpose, MemberKind, OwnerKind, Quantity, Role, Study, StudyStatus
from iamata.ledger.events import PermitRevoked, StudyProposed, StudyReviewed
from iamata.ledger.transaction import Transaction, is_ascending
from iamata.model.ids import Commitment, Digest, MemberId, StudyId
from iamata.model.instants import MS_PER_DAY, Day, Instant
from iamata.model.reasons import Reason, require

SITES_MAX: Final = 200
USES_MAX: Final = 16
REVIEWS_NEEDED: Final = 2
"""Reviewers of this many members, none of them the owner, decide."""
REVIEW_DAYS: Final = 90
"""Within three months (EHDS, article 68)."""
PERMIT_DAYS_MAX: Final = 3_653
"""Ten years (EHDS, article 68)."""

PUBLIC_PURPOSES: Final = (EhdsPurpose.PUBLIC_HEALTH, EhdsPurpose.POLICY, EhdsPurpose.STATISTICS)
"""Reserved to public bodies (EHDS, article 53(2))."""

DuoCode = Annotated[str, msgspec.Meta(pattern=r"^DUO:[0-9]{7}\Z")]


class ProposeStudy(Transaction, tag="study.propose"):
    """Ask for a permit to learn from records of other members, signed by a researcher."""

    study: StudyId
    protocol: Digest
    code: Digest
    uses: Annotated[tuple[DuoCode, ...], msgspec.Meta(min_length=1, max_length=USES_MAX)]
    purpose: EhdsPurpose
    is_prohibited_use_excluded: bool
    """The applicant declares that none of the uses of EHDS article 54 is intended."""
    sites: Annotated[tuple[MemberId, ...], msgspec.Meta(min_length=1, max_length=SITES_MAX)]
    budget_micro: Quantity
    until_day: Day


class ReviewStudy(Transaction, tag="study.review"):
    """Judge a study, signed by a reviewer: this protocol and this code, with grounds committed to."""

    study: StudyId
    protocol: Digest
    code: Digest
    is_approval: bool
    grounds: Commitment


class RevokePermit(Transaction, tag="study.revoke"):
    """End a permit: its owner's node may, and a reviewer of a member that granted it or of a regulator."""

    study: StudyId
    grounds: Commitment


def propose_study(tx: ProposeStudy, ctx: Context) -> StudyProposed:
    """Put a study before the reviewers."""
    researcher, person = ctx.require_person(Role.RESEARCHER)
    require(tx.study not in ctx.state.studies, Reason.STUDY_ALREADY_EXISTS)
    require(tx.is_prohibited_use_excluded, Reason.PURPOSE_PROHIBITED)
    is_public_body = ctx.state.members[person.member].kind is MemberKind.REGULATOR
    require(is_public_body or tx.purpose not in PUBLIC_PURPOSES, Reason.PURPOSE_PROHIBITED)
    require(is_ascending(tx.uses), Reason.MALFORMED, "uses are sorted, each once")
    require(is_ascending(tx.sites), Reason.MALFORMED, "sites are sorted, each once")
    for site in tx.sites:
        ctx.require_active(site)
    require(ctx.block_day <= tx.until_day <= ctx.block_day + PERMIT_DAYS_MAX, Reason.EXPIRED)

    ctx.state.studies[tx.study] = Study(
        owner=person.member,
        researcher=researcher,
        protocol=tx.protocol,
        code=tx.code,
        uses=tx.uses,
        purpose=tx.purpose,
        sites=tx.sites,
        budget_micro=tx.budget_micro,
        until_day=tx.until_day,
        review_until_ms=Instant(ctx.time_ms + REVIEW_DAYS * MS_PER_DAY),
    )

    return StudyProposed(study=tx.study, owner=person.member)


def review_study(tx: ReviewStudy, ctx: Context) -> StudyReviewed:
    """Count a review; the one that decides grants the permit or refuses it."""
    _, reviewer = ctx.require_person(Role.REVIEWER)
    study = ctx.state.studies[tx.study]
    require(study.status is StudyStatus.UNDER_REVIEW, Reason.STUDY_NOT_UNDER_REVIEW)
    require(ctx.time_ms <= study.review_until_ms, Reason.EXPIRED)
    require(reviewer.member != study.owner, Reason.REVIEWER_NOT_INDEPENDENT)
    require(reviewer.member not in (*study.approvals, *study.rejections), Reason.ALREADY_REVIEWED)
    is_same = (tx.protocol, tx.code) == (study.protocol, study.code)
    require(is_same, Reason.CODE_NOT_REVIEWED)

    reviewed = count_review(study, reviewer.member, is_approval=tx.is_approval)
    ctx.state.studies[tx.study] = reviewed

    return StudyReviewed(
        study=tx.study, member=reviewer.member, is_approval=tx.is_approval, status=reviewed.status
    )


def revoke_permit(tx: RevokePermit, ctx: Context) -> PermitRevoked:
    """End a permit for every run that has not begun."""
    study = ctx.state.studies[tx.study]
    member = require_revoker(study, ctx)
    require(study.status is StudyStatus.GRANTED, Reason.PERMIT_NOT_ACTIVE)

    ctx.state.studies[tx.study] = msgspec.structs.replace(study, status=StudyStatus.REVOKED)

    return PermitRevoked(study=tx.study, member=member)


def require_revoker(study: Study, ctx: Context) -> MemberId:
    """Return for which member the signer may revoke a study's permit, or refuse."""
    if ctx.signer is not None and ctx.signer.kind is OwnerKind.MEMBER:
        require(ctx.member == study.owner, Reason.NOT_THE_OWNER)
        return study.owner
    _, reviewer = ctx.require_person(Role.REVIEWER)
    is_regulator = ctx.state.members[reviewer.member].kind is MemberKind.REGULATOR
    require(is_regulator or reviewer.member in study.approvals, Reason.REVIEWER_NOT_INDEPENDENT)
    return reviewer.member


def count_review(study: Study, member: MemberId, *, is_approval: bool) -> Study:
    """Return the study with one more review, and decided where that is the last one needed."""
    field = "approvals" if is_approval else "rejections"
    reviewed = msgspec.structs.replace(study, **{field: (*getattr(study, field), member)})
    if len(reviewed.approvals) >= REVIEWS_NEEDED:
        return msgspec.structs.replace(reviewed, status=StudyStatus.GRANTED)
    if len(reviewed.rejections) >= REVIEWS_NEEDED:
        return msgspec.structs.replace(reviewed, status=StudyStatus.REFUSED)
    return reviewed


def require_permit(study_id: StudyId, ctx: Context) -> Study:
    """Return a study whose permit holds in this block, or refuse."""
    study = ctx.state.studies[study_id]
    is_active = study.status is StudyStatus.GRANTED and ctx.block_day <= study.until_day
    require(is_active, Reason.PERMIT_NOT_ACTIVE)
    return study
