"""The entry point: nouns and their verbs, and what becomes of errors."""

import contextvars
import gc
import itertools
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import typer

from iamata.cli.answers import EXIT_BUG, EXIT_SYSTEM, describe_refusal, document_refusal, get_exit_code
from iamata.cli.nouns import find_word, get_commands
from iamata.cli.output import IS_DEBUG, IS_JSON, complain
from iamata.model.reasons import ReasonClass, Refused

EXIT_PIPE_CLOSED: Final = 141
"""What a shell reports of a program that wrote to a closed pipe."""
EXIT_USAGE: Final = ReasonClass.INVALID.value
SWITCHES: Final = ("--json", "--debug")
"""Belong to every command, and may stand before its name."""
END_OF_OPTIONS: Final = "--"


def main() -> None:
    """Run a command; a refusal is a sentence and an exit code, a bug is named without a traceback."""
    arguments = sys.argv[1:]
    gc.disable()  # what is imported stays; to look through it again and again is a quarter of a start
    get_commands(find_word(place_switches(arguments)))
    gc.freeze()
    gc.enable()
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int | str | None:
    """Run a command and return its exit code; what its switches said ends with it."""
    return contextvars.copy_context().run(_run, arguments)


def _run(arguments: list[str]) -> int | str | None:
    IS_JSON.set("--json" in itertools.takewhile(lambda one: one != END_OF_OPTIONS, arguments))
    IS_DEBUG.set(False)
    try:
        return start(place_switches(arguments))
    except Refused as refused:
        complain(describe_refusal(refused), document_refusal(refused))
        return get_exit_code(refused)
    except BrokenPipeError:
        return EXIT_PIPE_CLOSED
    except OSError as error:
        text = f"The system said no: {error.strerror or type(error).__name__}."
        complain(text, {"error": text, "exit_code": EXIT_SYSTEM})
        return EXIT_SYSTEM
    except Exception as error:  # noqa: BLE001  the one place where a bug is named
        if IS_DEBUG.get():
            traceback.print_exc()
        complain(f"This is our bug ({type(error).__name__}); run again with --debug and tell us.")
        return EXIT_BUG


def start(arguments: Sequence[str]) -> int | str | None:
    """Let the command line be read; a wrong one is explained with its usage, or in JSON."""
    try:
        commands = get_commands(find_word(arguments))
        code = commands(arguments, prog_name="iamata", standalone_mode=not IS_JSON.get())
    except SystemExit as end:
        return end.code
    except typer.TyperException as error:
        text = error.format_message()
        complain(text, {"error": text, "exit_code": EXIT_USAGE})
        return EXIT_USAGE
    return code


def place_switches(arguments: Sequence[str]) -> list[str]:
    """Let `iamata --json verify H` mean `iamata verify H --json`."""
    leading = list(itertools.takewhile(SWITCHES.__contains__, arguments))
    rest = list(arguments[len(leading) :])
    end = rest.index(END_OF_OPTIONS) if END_OF_OPTIONS in rest else len(rest)
    return [*rest[:end], *leading, *rest[end:]]
