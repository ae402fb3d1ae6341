"""What an evaluation has at hand: the focus, what surrounds it, and how much it may still cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from iamata.fhir.path.elements import Element, Item
from iamata.fhir.path.refusals import STEPS_MAX
from iamata.fhir.path.temporal import DateTime
from iamata.model.reasons import Reason, Refused

Resolve: TypeAlias = Callable[[str], Element | None]
"""Finds the resource that a literal reference points to, where it is neither contained nor beside us."""
Items: TypeAlias = list[Item]

SMALL: Final = 16
"""Collections of so many items are not counted one by one: loops are, and everything else is as long as
the expression's text."""


class Environment(msgspec.Struct, gc=False, eq=False):
    """One evaluation: its resource, its variables, and the steps that are left to it."""

    resource: Element
    root: Element
    """The resource that contains this one; else the same."""
    variables: Mapping[str, Sequence[Item]]
    moment: DateTime | None
    """What `now()` answers."""
    resolve_elsewhere: Resolve | None
    steps: int = STEPS_MAX

    def spend(self, steps: int) -> None:
        """Count steps, and refuse when there are none left."""
        self.steps -= steps
        if self.steps < 0:
            raise Refused(Reason.INPUT_TOO_LARGE, "evaluating the expression takes too many steps")


class Frame(msgspec.Struct, gc=False, eq=False):
    """What `$this`, `$index` and `$total` are, and which variables were defined on the way."""

    environment: Environment
    this: Items
    index: int | None = None
    total: Items | None = None
    defined: Mapping[str, Items] | None = None

    def open(self) -> "Frame":
        """Make a frame for what is evaluated item by item; whoever does so sets `this` and `index`."""
        return Frame(self.environment, self.this, self.index, self.total, self.defined)


Run: TypeAlias = Callable[[Frame], Items]
"""An expression, compiled. Nobody may change the list that it returns: it may be a constant."""
Step: TypeAlias = Callable[[Items, Frame], Items]
"""What is asked of the items before a dot, compiled."""

Types: TypeAlias = tuple[str, ...] | None
"""The types that items can have, as far as the definitions tell; None where they do not."""


def take_one_by_one(step: Step, items: Items, frame: Frame) -> Items:
    """Take a step from one item after the other: what makes much of little then stops before it is made."""
    found: Items = []
    for item in items:
        few = step([item], frame)
        frame.environment.spend(1 + len(few))
        found += few
    return found
