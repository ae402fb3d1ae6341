"""How every command is made: `--json` and `--debug` everywhere."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from iamata.cli.output import IS_DEBUG, IS_JSON

VerbT = TypeVar("VerbT", bound=Callable[..., None])

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error of ours.")]


def make_noun(help_text: str) -> typer.Typer:
    """Make a group of commands."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def verb(app: typer.Typer, name: str) -> Callable[[VerbT], VerbT]:
    """Add a command to a group; it takes `--json` and `--debug` beside its own options."""

    def add(function: VerbT) -> VerbT:
        summary = inspect.cleandoc(function.__doc__ or "").partition("\n")[0]
        app.command(name, short_help=summary)(_with_shared_options(function))
        return function

    return add


def _with_shared_options(function: Callable[..., None]) -> Callable[..., None]:
    def run(*, as_json: bool, debug: bool, **arguments: Any) -> None:  # noqa: ANN401  the command's own
        IS_JSON.set(as_json)
        IS_DEBUG.set(debug)
        function(**arguments)

    shared = {"as_json": JsonOption, "debug": DebugOption}
    functools.update_wrapper(run, function)
    del run.__wrapped__  # type: ignore[attr-defined]  # typer would look through
    run.__annotations__ = get_type_hints(function, include_extras=True) | shared
    parameters = inspect.signature(function).parameters.values()
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in shared.items()
    ]
    run.__signature__ = inspect.Signature(own + added)  # type: ignore[attr-defined]  # documented by inspect
    return run
