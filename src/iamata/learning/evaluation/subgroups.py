"""Parts of the patients for which a model is looked at by itself: by sex, by age band, by site."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from iamata.learning.programmes import SITES_MAX, Site
from iamata.learning.schemas import Numeric, Schema
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
    """The rows of one site."""

    number: int

    @property
    def label(self) -> str:
        """What a reader calls the group."""
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
