"""The entry point: nouns and their verbs, and what becomes of errors."""

import sys
import traceback
from typing import Final

from iamata.cli import (
    access,
    consents,
    demo,
    devices,
    emergency,
    ledger,
    member,
    network,
    patient,
    person,
    proposal,
    records,
    sample,
    verify,
    wallet,
)
from iamata.cli.answers import EXIT_BUG, EXIT_SYSTEM, describe_refusal, document_refusal, get_exit_code
from iamata.cli.commands import make_noun
from iamata.cli.output import IS_DEBUG, IS_JSON, complain
from iamata.model.reasons import Refused

EXIT_PIPE_CLOSED: Final = 141
"""What a shell reports of a program that wrote to a closed pipe."""

app = make_noun("Iamata: health records stay home, consent is proven, learning can be undone.")
demo.add_to(app)
verify.add_to(app)
consents.add_to(wallet.app)
devices.add_to(wallet.app)
NOUNS: Final = (
    *(network, member, proposal, person, patient, records, wallet),
    *(access, emergency, ledger, sample),
)
for noun in NOUNS:
    app.add_typer(noun.app, name=noun.__name__.rpartition(".")[2])


def main() -> None:
    """Run a command; a refusal is a sentence and an exit code, a bug is named without a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int | str | None:
    """Run a command and return its exit code."""
    IS_JSON.set(False)
    IS_DEBUG.set(False)
    try:
        app(arguments, prog_name="iamata")
    except SystemExit as end:
        return end.code
    except Refused as refused:
        complain(describe_refusal(refused), document_refusal(refused))
        return get_exit_code(refused)
    except BrokenPipeError:
        return EXIT_PIPE_CLOSED
    except OSError as error:
        complain(f"The system said no: {error.strerror or type(error).__name__}.")
        return EXIT_SYSTEM
    except Exception as error:  # noqa: BLE001  the one place where a bug is named
        if IS_DEBUG.get():
            traceback.print_exc()
        complain(f"This is our bug ({type(error).__name__}); run again with --debug and tell us.")
        return EXIT_BUG
    return 0
