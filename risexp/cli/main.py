"""The command line: every error is one sentence with an exit code."""

import errno
import os
import signal
import sys
from typing import Annotated, Final, NoReturn

import typer
from typer.exceptions import TyperException

from risexp import __version__
from risexp.cli import (
    bench,
    compare,
    config,
    confirm,
    data,
    deploy,
    diagnose,
    doctor,
    evaluate,
    hpo,
    models,
    predict,
    report,
    reproduce,
    serve,
    show,
    space,
    store,
    study,
    train,
    ui,
)
from risexp.cli.output import ReaderLeft, note
from risexp.core.redaction import redacted, secrets_of
from risexp.core.signals import INTERRUPTED, RELEASED, SignalHandler
from risexp.errors import RisexpError

_OF_A_NAME: Final = (errno.ENAMETOOLONG, errno.ELOOP)
"""Errors of the system that a name alone makes, on any machine."""


class Released(BaseException):
    """A signal asked the process to end; like Ctrl-C, it must not be caught as an error."""


app = typer.Typer(
    name="risexp",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, search, compare and deploy networks that localise sources in the near field of a "
    "reconfigurable intelligent surface.",
    epilog="Exit codes: 0 done; 1 the environment failed; 2 invalid input; 3 a gate failed; 4 a "
    "guard or verification failed; 75 released by a signal; 130 interrupted.",
)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("serve")(serve.serve)
app.command("promote")(models.promote)
app.command("rollback")(models.rollback)
app.command("hpo")(hpo.search)
app.command("worker")(hpo.worker)
app.command("confirm")(confirm.confirm)
app.command("watch")(study.watch)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("preflight")(diagnose.preflight)
app.command("sync")(store.sync)
app.command("ui")(ui.ui)
app.command("reproduce")(reproduce.reproduce)
app.command("doctor")(doctor.doctor)
app.add_typer(bench.app, name="bench")
app.add_typer(data.app, name="data")
app.add_typer(deploy.app, name="deploy")
app.add_typer(diagnose.app, name="diagnose")
app.add_typer(space.app, name="space")
app.add_typer(config.app, name="config")
app.add_typer(show.app, name="show")
app.add_typer(study.app, name="study")
app.add_typer(store.app, name="store")
app.add_typer(models.app, name="models")


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and exit with its code."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    rest = [word for word in words if word != "--debug"]
    # All that is written belongs to its owner alone, also if MLflow or a thread writes it.
    umask = os.umask(0o077)
    try:
        with SignalHandler(_release, _signals()):
            code = app(rest, prog_name="risexp", standalone_mode=False) or 0
    except Exception as error:
        if debug and not isinstance(error, TyperException):
            raise
        code = _explain(error)
    except Released:
        code = RELEASED
    finally:
        os.umask(umask)
    if code in (INTERRUPTED, RELEASED):
        note("risexp: interrupted; nothing half-written was left")
    sys.exit(code)


def _signals() -> list[int]:
    """SIGTERM, and Ctrl-C unless it was ignored from the start."""
    heeds = signal.getsignal(signal.SIGINT) == signal.default_int_handler
    return [signal.SIGTERM, signal.SIGINT] if heeds else [signal.SIGTERM]


def _release(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else Released


def _explain(error: Exception) -> int:
    """Print the error as one sentence; return its exit code."""
    match error:
        case ReaderLeft():
            return 0
        case RisexpError() as known:
            message, code = str(known), known.exit_code
        case TyperException() as usage if usage.format_message().startswith("Usage:"):
            note(usage.format_message())  # a group named without a command: its help
            return usage.exit_code
        case TyperException() as usage:
            message, code = usage.format_message().replace("Value error, ", ""), usage.exit_code
        case OSError() as failed:
            message = f"{failed.filename or 'the system'}: {failed.strerror or failed}"
            code = 2 if failed.errno in _OF_A_NAME else 1
        case _:
            told = redacted(str(error), secrets_of(os.environ))
            message, code = f"{type(error).__name__}: {told}; --debug shows where", 1
    note(f"risexp: {' '.join(message.split())}")
    return code
