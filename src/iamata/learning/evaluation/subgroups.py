"""Parts of the patients for which a model is looked at by itself: by sex, by age band, by site."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from iamata.learning.holders import is_enough
from iamata.learning.programmes import SITES_MAX, Site
from iamata.learning.schemas import Numeric, Schema
from iamata.learning.tables import Floats
from iamata.model.reasons import Reason, require


class ByCategory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="category"):
    """The rows of one category."""

    column: str
    category: str

    @property
    def label(self) -> str:
        """What a reader calls the group."""
        return f"{self.column} = {self.category}"

    def select(self, site: Site) -> NDArray[np.bool_]:
        """Tell which of a site's rows belong to the group."""
        categories = site.table.schema.list_categories(self.column)
        require(self.category in categories, Reason.SCHEMA_INVALID, f"no category {self.category}")
        return np.equal(site.table.columns[self.column], categories.index(self.category))


class ByBand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="band"):
    """The rows whose number is at least `low` and less than `high`."""

    column: str
    low: float
    high: float

    @property
    def label(self) -> str:
        """What a reader calls the group."""
        return f"{self.low:g} ≤ {self.column} < {self.high:g}"

    def select(self, site: Site) -> NDArray[np.bool_]:
        """Tell which of a site's rows belong to the group."""
        site.table.schema.get_column(self.column)
        values = site.table.columns[self.column]
        return (values >= self.low) & (values < self.high)


class BySite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="site"):
    """The rows of one site, by its place among those of the study."""

    number: int

    @property
    def label(self) -> str:
        """What a reader calls the group, where nobody knows the site's name."""
        return f"site {self.number + 1}"

    def select(self, site: Site) -> NDArray[np.bool_]:
        """Tell which of a site's rows belong to the group: all or none."""
        return np.full(len(site.table), site.number == self.number)


Group: TypeAlias = ByCategory | ByBand | BySite


def check_groups(groups: Sequence[Group], schema: Schema) -> None:
    """Refuse groups that no site could tell: of a column or a category that the schema has not."""
    for group in groups:
        match group:
            case ByCategory(column=column, category=category):
                is_known = category in schema.list_categories(column)
                require(is_known, Reason.SCHEMA_INVALID, f"no category {category} of {column}")
            case ByBand(column=column, low=low, high=high):
                is_number = isinstance(schema.get_column(column), Numeric)
                require(is_number and low < high, Reason.SCHEMA_INVALID, f"a band of {column}")
            case BySite(number=number):
                require(0 <= number < SITES_MAX, Reason.SCHEMA_INVALID, "a site's number")
    _require_disjoint(groups)


def check_sites(groups: Sequence[Group], *, sites: int) -> None:
    """Refuse groups of a site that a study with so many sites has not."""
    for group in groups:
        if isinstance(group, BySite):
            what = f"a group is of site number {group.number}, counted from 0, and the study has {sites}"
            require(group.number < sites, Reason.SCHEMA_INVALID, what)


def _require_disjoint(groups: Sequence[Group]) -> None:
    """Refuse groups of one column that have rows in common: their difference would be a group as well."""
    is_once = len(dict.fromkeys(one.label for one in groups)) == len(groups)
    require(is_once, Reason.SCHEMA_INVALID, "a group is named twice")
    bands = sorted((one.column, one.low, one.high) for one in groups if isinstance(one, ByBand))
    for (column, _, high), (other, low, _) in pairwise(bands):
        require(column != other or high <= low, Reason.SCHEMA_INVALID, f"bands of {column} overlap")


def choose_shown(
    groups: Sequence[Group], rows: Floats, patients: Sequence[Floats], *, patients_min: int
) -> list[int]:
    """Choose the groups whose figures nobody can subtract from all, or from each other, to find few.

    `rows` counts those of everybody first, then of each group; places there are returned. `patients` has,
    in the same order, for each kind of row that may not be of few, such as either class, parts of patients:
    of one with several rows of a kind each counts as a part. The groups of one column are parts of all
    rows, with what is left. One with fewer than `patients_min` of a kind is hidden, and the next smallest
    as long as all that is hidden is too small together.
    """
    columns: dict[str, list[int]] = {}
    for place, group in enumerate(groups, start=1):
        columns.setdefault("" if isinstance(group, BySite) else f"of {group.column}", []).append(place)
    counts = np.column_stack(patients)
    return [one for places in columns.values() for one in _hide(places, rows, counts, patients_min)]


def _hide(places: Sequence[int], rows: Floats, counts: Floats, patients_min: int) -> list[int]:
    shown = sorted(places, key=lambda place: (float(counts[place].min()), place))
    shown = [place for place in shown if is_enough(float(counts[place].min()), patients_min)]
    while shown and float(rows[0] - rows[shown].sum()) > 0:
        left = counts[0] - counts[shown].sum(axis=0)
        if is_enough(float(left.min()), patients_min):
            break
        shown = shown[1:]
    return shown


def list_by_category(schema: Schema, column: str) -> Iterator[ByCategory]:
    """Yield a group for each category of a column."""
    categories = schema.list_categories(column)
    require(len(categories) > 0, Reason.SCHEMA_INVALID, f"{column} has no categories")
    yield from (ByCategory(column=column, category=one) for one in categories)


def list_bands(column: str, limits: Sequence[float]) -> Iterator[ByBand]:
    """Yield a group for each band between neighbouring limits."""
    yield from (ByBand(column=column, low=low, high=high) for low, high in pairwise(limits))


def list_sites(count: int) -> Iterator[BySite]:
    """Yield a group for each site."""
    yield from (BySite(number=number) for number in range(count))
