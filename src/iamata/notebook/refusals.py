"""What a researcher reads of a refusal: a sentence, and of the traceback what is their own."""

from collections.abc import Callable
from functools import wraps
from inspect import isfunction
from typing import ParamSpec, TypeVar

from iamata.model import reasons
from iamata.wire.sentences import spell_refusal

Given = ParamSpec("Given")
Told = TypeVar("Told")
Kind = TypeVar("Kind", bound=type)


class Refused(reasons.Refused):
    """Say in a sentence what was refused; `reason` and `detail` are for programs."""

    __module__ = "iamata.notebook"  # where one imports it from, as a traceback should have it

    def __str__(self) -> str:
        return spell_refusal(self.reason, self.detail)


def speaking(act: Callable[Given, Told]) -> Callable[Given, Told]:
    """Make a function refuse in a sentence, whose traceback shows nothing of what it called."""

    @wraps(act)
    def speak(*given: Given.args, **named: Given.kwargs) -> Told:
        try:
            return act(*given, **named)
        except reasons.Refused as refused:
            said = Refused(refused.reason, refused.detail)
        raise said  # out here, so that it hangs on no other

    return speak


def speaking_class(kind: Kind) -> Kind:
    """Make all public methods of a class refuse in a sentence."""
    for name, method in list(vars(kind).items()):
        if isfunction(method) and not name.startswith("_"):
            setattr(kind, name, speaking(method))
    return kind
