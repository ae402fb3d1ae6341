"""The entry point: nouns and their verbs, and what becomes of errors."""

import sys
import traceback
from typing import Final

from iamata.cli import access, demo, emergency, ledger, network, patient, person, records, sample, wallet
from iamata.cli.answers import EXIT_BUG, EXIT_SYSTEM, describe_refusal, get_exit_code
from iamata.cli.commands import make_noun
from iamata.cli.output import IS_DEBUG, complain
from iamata.model.reasons import Refused

EXIT_PIPE_CLOSED: Final = 141
"""What a shell reports of a program that wrote to a closed pipe."""

app = make_noun("Iamata: health records that stay home, consent that is proven, learning that can be undone.")
app.add_typer(network.app, name="network")
app.add_typer(person.app, name="person")
app.add_typer(patient.app, name="patient")
app.add_typer(records.app, name="records")
app.add_typer(wallet.app, name="wallet")
app.add_typer(access.app, name="access")
app.add_typer(emergency.app, name="emergency")
app.add_typer(ledger.app, name="ledger")
app.add_typer(sample.app, name="sample")
demo.add_to(app)
ledger.add_verify_to(app)


def main() -> None:
    """Run a command; a refusal is a sentence and an exit code, a bug is named without a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int | str | None:
    """Run a command and return its exit code."""
    try:
        app(arguments, prog_name="iamata")
    except SystemExit as end:
        return end.code
    except Refused as refused:
        complain(describe_refusal(refused))
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
