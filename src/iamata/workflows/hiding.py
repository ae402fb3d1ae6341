"""Nobody is seen in a difference: no two releases over a site differ by a few patients, or by a few's rows.

A release is about those who train and, where it is evaluated, about those who are kept out, and about both
together. Each of these groups is held against those of every dataset that this custodian ever built, for
whatever study and of whatever columns; and where it is the same group, each column against each, for two
that differ in a few rows give these away. So do two columns of one dataset, which one model would give
away. No group at all counts too, for a run may do without a site. Those whom trees grow on, all who train
but the tenth that is kept back to stop by, are a group among those of other trees. Studies with noise in
every sum need none of this.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Self, TypeAlias

import msgspec

from iamata.learning.estimators.growing import is_kept_back
from iamata.learning.likeness import compute_least_difference, find_near_twins
from iamata.learning.protocols import Protocol, Trees, is_kept_out
from iamata.learning.schemas import Schema
from iamata.model.ids import DatasetId, PatientId
from iamata.model.reasons import Reason, require
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.workflows.documents import get_protocol
from iamata.workflows.frozen_tables import PatientRows, list_rolls, make_table, read_rows
from iamata.workflows.lineages import get_study
from iamata.workflows.office import Office

PATIENTS_MIN: Final = 10
"""Fewer are no group, and no two groups differ by fewer, nor any two columns over one group."""

Group: TypeAlias = dict[PatientId, None]


class Release(NamedTuple):
    """A group that figures of an earlier dataset are about."""

    dataset: DatasetId
    schema: Schema
    group: Group
    growers: Group | None = None
    """Those among it whom trees grow on; None where it trains no trees that stop early."""


class Hiding(msgspec.Struct, frozen=True):
    """What a new dataset of a protocol is held against: all earlier releases, and their rows."""

    protocol: Protocol
    custody: Custody
    earlier: tuple[Release, ...]

    @classmethod
    def look_up(cls, office: Office, view: LedgerView, protocol: Protocol) -> Self:
        """Look up the groups of all datasets without noise, of any study, that were ever built here."""
        return cls(protocol, office.custody, tuple(_list_earlier(office, view)))

    def is_training_hidden(self, rows: PatientRows) -> bool:
        """Tell whether these patients may train: there are enough, and nobody can be seen to differ."""
        training, _ = part(self.protocol, rows)
        return self._is_training_apart(training, rows) and self._find_near_twins(training, rows) is None

    def is_holdout_hidden(self, rows: PatientRows) -> bool:
        """Tell whether a model may also be evaluated on those among these patients who do not train."""
        training, holdout = part(self.protocol, rows)
        return self._is_hidden(holdout, rows) and self._is_hidden(training | holdout, rows)

    def require_hidden(self, rows: PatientRows) -> None:
        """Refuse patients who cannot train together, and say nothing about whom."""
        training, _ = part(self.protocol, rows)
        growers = find_growers(self.protocol, training)
        too_few = f"fewer than {PATIENTS_MIN} to train on"
        require(
            len(training if growers is None else growers) >= PATIENTS_MIN, Reason.TOO_FEW_PATIENTS, too_few
        )
        detail = (
            "it hardly differs from an earlier dataset, of this or another study: wait for ten to change"
        )
        require(self._is_training_apart(training, rows), Reason.TOO_FEW_PATIENTS, detail)
        twins = self._find_near_twins(training, rows)
        told = (
            f"{' and '.join(twins or ())} differ for fewer than {PATIENTS_MIN}: a model would tell of these"
        )
        require(twins is None, Reason.TOO_FEW_PATIENTS, told)

    def _is_hidden(self, group: Group, rows: PatientRows) -> bool:
        if len(group) < PATIENTS_MIN:
            return False
        if self.protocol.spends_micro:
            return True
        differing = [count_differing(group, one.group) for one in self.earlier]
        if any(0 < count < PATIENTS_MIN for count in differing):
            return False
        same = [one for one, count in zip(self.earlier, differing, strict=True) if count == 0]
        return not any(0 < self._count_changed(one, rows) < PATIENTS_MIN for one in same)

    def _is_training_apart(self, training: Group, rows: PatientRows) -> bool:
        """Tell whether those who train, and those whom trees grow on, are enough and differ from others."""
        return self._is_hidden(training, rows) and self._are_growers_hidden(training)

    def _are_growers_hidden(self, training: Group) -> bool:
        """Tell whether those whom trees grow on are as many, and as different, as those who train."""
        growers = find_growers(self.protocol, training)
        if growers is None:
            return True
        others = [one.growers for one in self.earlier if one.growers is not None]
        is_apart = not any(0 < count_differing(growers, one) < PATIENTS_MIN for one in others)
        return len(growers) >= PATIENTS_MIN and is_apart

    def _find_near_twins(self, group: Group, rows: PatientRows) -> tuple[str, str] | None:
        """Find two columns whose sums over a group, subtracted, would be about a few of it."""
        if self.protocol.spends_micro:
            return None
        table = make_table({patient: rows[patient] for patient in group}, self.protocol.schema)
        return find_near_twins(table, least=PATIENTS_MIN)

    def _count_changed(self, earlier: Release, rows: PatientRows) -> int:
        """Count whose rows tell the most alike columns apart, of an earlier release about one group."""
        now = make_table({patient: rows[patient] for patient in earlier.group}, self.protocol.schema)
        then = make_table(read_rows(self.custody, earlier.dataset, earlier.group), earlier.schema)
        return compute_least_difference(now, then, list(earlier.group))


def part(protocol: Protocol, patients: Iterable[PatientId]) -> tuple[Group, Group]:
    """Part patients into those who train and those who are kept out."""
    everybody = dict.fromkeys(patients)
    holdout = dict.fromkeys(one for one in everybody if is_kept_out(protocol, one))
    return dict.fromkeys(one for one in everybody if one not in holdout), holdout


def find_growers(protocol: Protocol, training: Group) -> Group | None:
    """Find those who train whom trees grow on: all but those kept back, where any are."""
    estimator = protocol.estimator
    if not isinstance(estimator, Trees) or not estimator.settings.stops_early:
        return None
    return dict.fromkeys(one for one in training if not is_kept_back(one))


def count_differing(one: Group, other: Group) -> int:
    """Count the patients who are in one of two groups only."""
    return sum(name not in other for name in one) + sum(name not in one for name in other)


def _list_earlier(office: Office, view: LedgerView) -> Iterator[Release]:
    for dataset, roll in list_rolls(office.custody):
        protocol = get_protocol(office.custody, get_study(view, roll.study))
        if protocol.spends_micro:
            continue
        training, holdout = part(protocol, (one.patient for one in roll.participants))
        yield Release(dataset, protocol.schema, training, find_growers(protocol, training))
        if roll.has_holdout:
            yield from (Release(dataset, protocol.schema, group) for group in (holdout, training | holdout))
