"""Conditions on data in words: the labels of GA4GH's Data Use Ontology, and what is named with them."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from iamata.consent.data_use import Conditions, Modifier, Permission
from iamata.model.instants import format_day

LABELS: Final[Mapping[str, str]] = {
    Permission.NO_RESTRICTION: "no restriction",
    Permission.GENERAL_RESEARCH: "general research use",
    Permission.HEALTH_RESEARCH: "health or medical or biomedical research",
    Permission.DISEASE_RESEARCH: "disease specific research",
    Permission.ANCESTRY_RESEARCH: "population origins or ancestry research only",
    Modifier.RESEARCH_SPECIFIC: "research specific restrictions",
    Modifier.NO_METHODS: "no general methods research",
    Modifier.GENETIC_ONLY: "genetic studies only",
    Modifier.NOT_FOR_PROFIT_NON_COMMERCIAL: "not for profit, non commercial use only",
    Modifier.PUBLICATION: "publication required",
    Modifier.COLLABORATION: "collaboration required",
    Modifier.ETHICS_APPROVAL: "ethics approval required",
    Modifier.COUNTRIES: "geographical restriction",
    Modifier.MORATORIUM: "publication moratorium",
    Modifier.TIME_LIMIT: "time limit on use",
    Modifier.USERS: "user specific restriction",
    Modifier.PROJECTS: "project specific restriction",
    Modifier.INSTITUTIONS: "institution specific restriction",
    Modifier.RETURN_RESULTS: "return to database or resource",
    Modifier.CLINICAL_CARE: "clinical care use",
    Modifier.NO_ANCESTRY: "population origins or ancestry research prohibited",
    Modifier.NOT_FOR_PROFIT_ORGANISATION: "not for profit organisation use only",
    Modifier.NON_COMMERCIAL: "non-commercial use only",
}
"""Word for word the ontology's own."""
FOR_PEOPLE: Final = "a condition that people look at"


class Stated(msgspec.Struct, frozen=True):
    """One condition: its code, its label, and what the custodian names with it."""

    code: str
    label: str
    names: tuple[str, ...] = ()

    def spell(self) -> str:
        """Say it in one line."""
        named = f": {', '.join(self.names)}" if self.names else ""
        return f"{self.label} ({self.code}){named}"


def state_conditions(conditions: Conditions) -> Iterator[Stated]:
    """State what may be done with data, and every further condition that holds, each once."""
    until = () if conditions.until_day is None else (f"until {format_day(conditions.until_day)}",)
    named: Mapping[str, tuple[str, ...]] = {
        Permission.DISEASE_RESEARCH: conditions.diseases,
        Modifier.COUNTRIES: conditions.countries,
        Modifier.USERS: conditions.users,
        Modifier.PROJECTS: conditions.projects,
        Modifier.INSTITUTIONS: conditions.institutions,
        Modifier.TIME_LIMIT: until,
    }
    implied = (Modifier.TIME_LIMIT,) if until else ()
    for code in dict.fromkeys((conditions.permission, *conditions.modifiers, *implied)):
        yield Stated(str(code), LABELS.get(code, FOR_PEOPLE), named.get(code, ()))
