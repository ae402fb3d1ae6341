"""Nobody is seen in a difference: no two releases over a site are about groups that differ by a few.

A release is about those who train and, where it is evaluated, about those who are kept out, and about both
together. Each of these groups is held against those of every dataset that this custodian ever built, for
whatever study, with a column in common. No group at all counts too, for a run may do without a site.
Studies with noise in every sum need none of this.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Self, TypeAlias

import msgspec

from iamata.learning.protocols import Protocol, is_kept_out
from iamata.model.ids import PatientId
from iamata.model.reasons import Reason, require
from iamata.ports import LedgerView
from iamata.workflows.documents import get_protocol
from iamata.workflows.frozen_tables import list_rolls
from iamata.workflows.lineages import get_study
from iamata.workflows.office import Office

PATIENTS_MIN: Final = 10
"""Fewer are no group, and no two groups differ by fewer, unless they are the same."""

Group: TypeAlias = dict[PatientId, None]


class Hiding(msgspec.Struct, frozen=True):
    """What a new dataset of a protocol is held against: the groups that earlier releases are about."""

    protocol: Protocol
    earlier: tuple[Group, ...]

    @classmethod
    def look_up(cls, office: Office, view: LedgerView, protocol: Protocol) -> Self:
        """Look up the groups of all datasets, of any study, that were ever built here over such columns."""
        return cls(protocol, ({}, *_list_earlier(office, view, protocol)))

    def is_training_hidden(self, patients: Iterable[PatientId]) -> bool:
        """Tell whether these patients may train: there are enough, and nobody can be seen to come or go."""
        training, _ = part(self.protocol, patients)
        return self._is_hidden(training)

    def is_holdout_hidden(self, patients: Iterable[PatientId]) -> bool:
        """Tell whether a model may also be evaluated on those among these patients who do not train."""
        training, holdout = part(self.protocol, patients)
        return bool(holdout) and self._is_hidden(holdout) and self._is_hidden(training | holdout)

    def require_hidden(self, patients: Iterable[PatientId]) -> None:
        """Refuse patients who cannot train together, and say nothing about whom."""
        training, _ = part(self.protocol, patients)
        require(len(training) >= PATIENTS_MIN, Reason.TOO_FEW_PATIENTS, "to train on")
        detail = (
            "it hardly differs from an earlier dataset, of this or another study: wait for ten to change"
        )
        require(self._is_hidden(training), Reason.TOO_FEW_PATIENTS, detail)

    def _is_hidden(self, group: Group) -> bool:
        if self.protocol.spends_micro:
            return len(group) >= PATIENTS_MIN
        differing = (count_differing(group, one) for one in self.earlier)
        return all(count == 0 or count >= PATIENTS_MIN for count in differing)


def part(protocol: Protocol, patients: Iterable[PatientId]) -> tuple[Group, Group]:
    """Part patients into those who train and those who are kept out."""
    everybody = dict.fromkeys(patients)
    holdout = dict.fromkeys(one for one in everybody if is_kept_out(protocol, one))
    return dict.fromkeys(one for one in everybody if one not in holdout), holdout


def count_differing(one: Group, other: Group) -> int:
    """Count the patients who are in one of two groups only."""
    return sum(name not in other for name in one) + sum(name not in one for name in other)


def _list_earlier(office: Office, view: LedgerView, protocol: Protocol) -> Iterator[Group]:
    columns = _list_columns(protocol)
    for roll in list_rolls(office.custody):
        other = get_protocol(office.custody, get_study(view, roll.study))
        if other.spends_micro or columns.isdisjoint(_list_columns(other)):
            continue
        training, holdout = part(other, (one.patient for one in roll.participants))
        yield training
        if roll.has_holdout:
            yield from (holdout, training | holdout)


def _list_columns(protocol: Protocol) -> frozenset[str]:
    names = (column.name for column in protocol.schema.columns)
    return frozenset((*names, protocol.schema.outcome.name))
