"""Whether the conditions on data allow a study's purpose: GA4GH's Data Use Ontology, as DUOS matches it.

Each rule approves, denies or abstains, and says why. All approve: approved. Else where one abstains people
decide. Else denied. What no rule understands is never approved (DUOS' matching algorithm, version 4;
what that leaves to people although the answer is known, a country, a date, is decided here).
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final

import msgspec

from iamata.model.instants import Day, format_day
from iamata.model.reasons import Reason, require

DISEASES_MAX: Final = 64
NAMES_MAX: Final = 256
CONCERNS_MAX: Final = 16

Disease = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{1,200}\Z")]
"""A disease's IRI in an ontology such as DOID."""
NO_COUNTRY: Final = "ZZ"
"""Stands for a country that nobody said; it is no country's code."""

Country = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{2}\Z")]
Ancestors = Mapping[str, Sequence[str]]
"""The broader diseases of each disease, as far as anybody here knows."""


class Permission(enum.StrEnum):
    """What data may be used for; each body of data has one (DUO)."""

    NO_RESTRICTION = "DUO:0000004"
    GENERAL_RESEARCH = "DUO:0000042"
    HEALTH_RESEARCH = "DUO:0000006"
    DISEASE_RESEARCH = "DUO:0000007"
    ANCESTRY_RESEARCH = "DUO:0000011"


class Modifier(enum.StrEnum):
    """A further condition (DUO)."""

    RESEARCH_SPECIFIC = "DUO:0000012"
    NO_METHODS = "DUO:0000015"
    GENETIC_ONLY = "DUO:0000016"
    NOT_FOR_PROFIT_NON_COMMERCIAL = "DUO:0000018"
    PUBLICATION = "DUO:0000019"
    COLLABORATION = "DUO:0000020"
    ETHICS_APPROVAL = "DUO:0000021"
    COUNTRIES = "DUO:0000022"
    MORATORIUM = "DUO:0000024"
    TIME_LIMIT = "DUO:0000025"
    USERS = "DUO:0000026"
    PROJECTS = "DUO:0000027"
    INSTITUTIONS = "DUO:0000028"
    RETURN_RESULTS = "DUO:0000029"
    CLINICAL_CARE = "DUO:0000043"
    NO_ANCESTRY = "DUO:0000044"
    NOT_FOR_PROFIT_ORGANISATION = "DUO:0000045"
    NON_COMMERCIAL = "DUO:0000046"


class Concern(enum.StrEnum):
    """What makes people want to look at a purpose themselves."""

    CONTROLS = "controls"
    POPULATION = "population"
    GENDER = "gender"
    CHILDREN = "children"
    VULNERABLE = "vulnerable-population"
    ILLEGAL_BEHAVIOUR = "illegal-behaviour"
    SEXUAL_DISEASES = "sexual-diseases"
    PSYCHOLOGICAL_TRAITS = "psychological-traits"
    NOT_HEALTH = "not-health"
    STIGMATISING = "stigmatising"
    OTHER = "other"


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a custodian says of its data."""

    permission: Permission
    diseases: Annotated[tuple[Disease, ...], msgspec.Meta(max_length=DISEASES_MAX)] = ()
    modifiers: Annotated[tuple[str, ...], msgspec.Meta(max_length=NAMES_MAX)] = ()
    """DUO codes; one that we do not know is left to people."""
    countries: Annotated[tuple[Country, ...], msgspec.Meta(max_length=NAMES_MAX)] = ()
    users: Annotated[tuple[str, ...], msgspec.Meta(max_length=NAMES_MAX)] = ()
    projects: Annotated[tuple[str, ...], msgspec.Meta(max_length=NAMES_MAX)] = ()
    institutions: Annotated[tuple[str, ...], msgspec.Meta(max_length=NAMES_MAX)] = ()
    until_day: Day | None = None
    """The last day of use; with DUO:0000025 the purpose has to say as well that it ends by then."""
    ancestors: Annotated[
        dict[Disease, Annotated[tuple[Disease, ...], msgspec.Meta(max_length=NAMES_MAX)]],
        msgspec.Meta(max_length=NAMES_MAX),
    ] = {}
    """The broader diseases of each disease, all of them: under which a narrower one is covered."""
    is_judged: bool = False
    """For one study: people of the custodian allow what the rules leave to people."""

    def __post_init__(self) -> None:
        is_for_diseases = self.permission is Permission.DISEASE_RESEARCH
        require(is_for_diseases == bool(self.diseases), Reason.MALFORMED, "diseases go with DUO:0000007")


class ResearchPurpose(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a study says it is for."""

    is_general: bool = False
    is_health: bool = False
    is_ancestry: bool = False
    is_methods: bool = False
    """Developing methods, whatever they are then used for."""
    diseases: Annotated[tuple[Disease, ...], msgspec.Meta(max_length=DISEASES_MAX)] = ()
    """At the most specific level: what is sought in data about a broader disease."""
    is_genetic: bool = False
    is_for_profit: bool = False
    """The organisation's own purpose."""
    is_commercial: bool = False
    concerns: Annotated[tuple[Concern, ...], msgspec.Meta(max_length=CONCERNS_MAX)] = ()
    agrees_to: Annotated[tuple[Modifier, ...], msgspec.Meta(max_length=NAMES_MAX)] = ()
    """What the researcher promises: to publish, to return results, to collaborate, to wait, to have ethics
    approval."""
    country: Country = NO_COUNTRY
    """Where the data would be used; ZZ where nobody said."""
    user: str = ""
    project: str = ""
    institution: str = ""
    until_day: Day | None = None


class Verdict(enum.StrEnum):
    """What a rule says, and all of them together."""

    APPROVE = "approve"
    ABSTAIN = "abstain"
    DENY = "deny"


class Finding(msgspec.Struct, frozen=True):
    """One rule's verdict, with its reason in words."""

    verdict: Verdict
    reason: str


class Match(msgspec.Struct, frozen=True):
    """What follows from all findings."""

    verdict: Verdict
    findings: tuple[Finding, ...]


def match_use(
    conditions: Conditions, purpose: ResearchPurpose, ancestors: Ancestors | None = None
) -> Match:
    """Hold a study's purpose against the conditions on data; `ancestors` instead of their own."""
    findings = (
        *_judge_kinds(conditions, purpose, conditions.ancestors if ancestors is None else ancestors),
        *(_judge_modifier(one, conditions, purpose) for one in conditions.modifiers),
        *(_abstain(f"people look at what concerns {concern}") for concern in purpose.concerns),
    )
    verdicts = [one.verdict for one in findings]
    if all(one is Verdict.APPROVE for one in verdicts):
        return Match(Verdict.APPROVE, findings)
    return Match(Verdict.ABSTAIN if Verdict.ABSTAIN in verdicts else Verdict.DENY, findings)


def find_objection(conditions: Conditions, purpose: ResearchPurpose, *, day: Day) -> str:
    """Return why data may not be used for a purpose on a day, in words; "" where it may.

    What people of the custodian have judged stays judged: what the rules leave to them, and not what a
    rule denies, nor a last day that has passed since.
    """
    if conditions.until_day is not None and day > conditions.until_day:
        return f"the data may be used until {format_day(conditions.until_day)}, and no longer"
    findings = match_use(conditions, purpose).findings
    denied, open_ = (
        "; ".join(one.reason for one in findings if one.verdict is verdict)
        for verdict in (Verdict.DENY, Verdict.ABSTAIN)
    )
    if denied or not open_ or conditions.is_judged:
        return denied
    return f"people have to judge (--judged): {open_}"


def require_use(conditions: Conditions, purpose: ResearchPurpose, *, day: Day) -> None:
    """Refuse a purpose that the conditions on data do not allow on a day, and say which of them."""
    objection = find_objection(conditions, purpose, day=day)
    require(not objection, Reason.PURPOSE_NOT_PERMITTED, objection)


def check_uses(uses: Sequence[str], purpose: ResearchPurpose, *, until_day: Day) -> None:
    """Refuse codes under which data would not allow the purpose for which a study asks.

    One code says what kind of research is meant (a permission); the others, what it keeps to. What a
    purpose promises no longer than to some day is not asked for until a later `until_day`.
    """
    permissions = [Permission(one) for one in uses if one in set(Permission)]
    modifiers = tuple(one for one in uses if one in set(Modifier))
    strange = ", ".join(one for one in uses if one not in (*permissions, *modifiers))
    require(not strange, Reason.PURPOSE_NOT_PERMITTED, f"{strange}: neither permission nor modifier in DUO")
    require(len(permissions) == 1, Reason.PURPOSE_NOT_PERMITTED, "the uses name one permission of DUO")
    is_for_diseases = permissions[0] is Permission.DISEASE_RESEARCH
    is_named = bool(purpose.diseases) or not is_for_diseases
    require(is_named, Reason.PURPOSE_NOT_PERMITTED, "the purpose names no disease")
    if purpose.until_day is not None:
        require(until_day <= purpose.until_day, Reason.PURPOSE_NOT_PERMITTED, "the purpose ends earlier")
    declared = Conditions(
        permission=permissions[0],
        diseases=purpose.diseases if is_for_diseases else (),
        modifiers=tuple(one for one in modifiers if one in _PROMISES or one in _PREDICATES),
        countries=(purpose.country,),
        users=(purpose.user,),
        projects=(purpose.project,),
        institutions=(purpose.institution,),
        until_day=purpose.until_day,
    )
    match = match_use(declared, msgspec.structs.replace(purpose, concerns=()))
    refusals = "; ".join(one.reason for one in match.findings if one.verdict is not Verdict.APPROVE)
    require(not refusals, Reason.PURPOSE_NOT_PERMITTED, f"under the uses that are named, {refusals}")


def _judge_kinds(
    conditions: Conditions, purpose: ResearchPurpose, ancestors: Ancestors
) -> Iterator[Finding]:
    allowed = conditions.permission
    is_open = allowed in (Permission.NO_RESTRICTION, Permission.GENERAL_RESEARCH)
    is_health = is_open or allowed is Permission.HEALTH_RESEARCH
    kinds = 0
    if purpose.diseases:
        kinds += 1
        is_covered = is_health or (
            allowed is Permission.DISEASE_RESEARCH
            and all(_is_among(one, conditions.diseases, ancestors) for one in purpose.diseases)
        )
        yield _judge(is_covered, "research on these diseases")
    for is_meant, is_allowed, words in (
        (purpose.is_health, is_health, "research on health"),
        (purpose.is_general, is_open, "research of any kind"),
        (purpose.is_ancestry, is_open or allowed is Permission.ANCESTRY_RESEARCH, "research on ancestry"),
        (purpose.is_methods, Modifier.NO_METHODS not in conditions.modifiers, "research on methods"),
    ):
        if is_meant:
            kinds += 1
            yield _judge(is_allowed, words)
    if not kinds and allowed is not Permission.NO_RESTRICTION:
        yield _abstain("the purpose names no kind of research")


def _judge_modifier(code: str, conditions: Conditions, purpose: ResearchPurpose) -> Finding:
    if code in _PROMISES:
        return _judge_promise(Modifier(code), purpose)
    if code in _PREDICATES:
        words, is_met = _PREDICATES[code]
        return _judge(is_met(conditions, purpose), words)
    return _abstain(f"people look at condition {code}")


def _judge_promise(promise: Modifier, purpose: ResearchPurpose) -> Finding:
    if promise in purpose.agrees_to:
        return Finding(Verdict.APPROVE, f"the researcher agrees to {_PROMISES[promise]}")
    return _abstain(f"the researcher has not agreed to {_PROMISES[promise]}")


def _ends_in_time(conditions: Conditions, purpose: ResearchPurpose) -> bool:
    if conditions.until_day is None or purpose.until_day is None:
        return False
    return purpose.until_day <= conditions.until_day


def _is_among(disease: str, allowed: Iterable[str], ancestors: Ancestors) -> bool:
    known = (disease, *ancestors.get(disease, ()))
    return any(one in known for one in allowed)


def _judge(is_allowed: bool, words: str) -> Finding:  # noqa: FBT001  the question itself
    if is_allowed:
        return Finding(Verdict.APPROVE, f"the data allow {words}")
    return Finding(Verdict.DENY, f"the data allow no such thing: {words}")


def _abstain(words: str) -> Finding:
    return Finding(Verdict.ABSTAIN, words)


_PROMISES: Final[Mapping[str, str]] = {
    Modifier.PUBLICATION: "publishing the results",
    Modifier.COLLABORATION: "working together with the data's investigators",
    Modifier.ETHICS_APPROVAL: "having ethics approval",
    Modifier.MORATORIUM: "waiting with publication",
    Modifier.RETURN_RESULTS: "returning results",
}
"""Conditions that a promise meets; the custodian's people then hold the researcher to it."""


def _is_named(said: str, names: Sequence[str]) -> bool:
    """Tell whether somebody said who or where they are, and is among those named."""
    return said not in {"", NO_COUNTRY} and said in names


_PREDICATES: Final[Mapping[str, tuple[str, Callable[[Conditions, ResearchPurpose], bool]]]] = {
    Modifier.NO_METHODS: ("anything but research on methods", lambda _, asked: not asked.is_methods),
    Modifier.NO_ANCESTRY: ("anything but research on ancestry", lambda _, asked: not asked.is_ancestry),
    Modifier.GENETIC_ONLY: ("genetic studies", lambda _, asked: asked.is_genetic),
    Modifier.NOT_FOR_PROFIT_ORGANISATION: (
        "organisations without profit",
        lambda _, asked: not asked.is_for_profit,
    ),
    Modifier.NON_COMMERCIAL: ("use without commerce", lambda _, asked: not asked.is_commercial),
    Modifier.NOT_FOR_PROFIT_NON_COMMERCIAL: (
        "organisations without profit, and use without commerce",
        lambda _, asked: not (asked.is_for_profit or asked.is_commercial),
    ),
    Modifier.COUNTRIES: (
        "use in named countries",
        lambda data, asked: _is_named(asked.country, data.countries),
    ),
    Modifier.USERS: ("named users", lambda data, asked: _is_named(asked.user, data.users)),
    Modifier.PROJECTS: ("named projects", lambda data, asked: _is_named(asked.project, data.projects)),
    Modifier.INSTITUTIONS: (
        "named institutions",
        lambda data, asked: _is_named(asked.institution, data.institutions),
    ),
    Modifier.TIME_LIMIT: ("use that ends in time", _ends_in_time),
}
"""Conditions whose answer is known, in the words of what they allow."""
