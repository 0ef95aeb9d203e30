"""`risexp hpo` and `risexp worker`: search a space, and lend a hand to a search."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import (
    AsJson,
    Device,
    Overrides,
    Threads,
    TrackingTo,
    complete_space,
)
from risexp.cli.output import emit, note, say, table
from risexp.config.space import SearchSpace
from risexp.config.space_check import check_space
from risexp.config.space_files import load_space
from risexp.errors import InvalidInput, SpaceInvalid, VerificationFailed

if TYPE_CHECKING:
    from risexp.app.search import Searched, Wanted
    from risexp.hpo.table import StudyTable, TrialRow

SpaceOption = Annotated[
    str, typer.Option(metavar="SPACE", autocompletion=complete_space, help="The space to search.")
]
StudyOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The study's name; the space's where none is given."),
]
Trials = Annotated[int | None, typer.Option(min=1, metavar="N", help="Finished trials in total.")]
Workers = Annotated[
    int, typer.Option(min=0, metavar="N", help="Processes; 0: one for each two cores.")
]
Gpus = Annotated[str | None, typer.Option(metavar="0,1", help="GPUs that the workers share.")]
PerGpu = Annotated[
    int, typer.Option("--trials-per-gpu", min=1, metavar="N", help="Workers on each GPU.")
]
Timeout = Annotated[
    str | None, typer.Option(metavar="2h", help="End after this time: 90s, 30m, 2h.")
]
Until = Annotated[
    str | None, typer.Option(metavar="'k_loc<4'", help="End once a trial is as good as this.")
]
Epochs = Annotated[int | None, typer.Option(min=1, metavar="N", help="Of each trial.")]
PatienceOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Epochs without a better one.")
]
Unchecked = Annotated[
    bool, typer.Option("--unchecked", help="Begin though preflight says it cannot learn.")
]
_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_UNTIL = re.compile(r"k_loc\s*<\s*(-?\d+(?:\.\d+)?)")


def search(
    space: SpaceOption,
    study: StudyOption = None,
    trials: Trials = None,
    workers: Workers = 0,
    gpus: Gpus = None,
    per_gpu: PerGpu = 1,
    timeout: Timeout = None,
    until: Until = None,
    epochs: Epochs = None,
    patience: PatienceOption = None,
    set_: Overrides = None,
    device: Device = "auto",
    threads: Threads = 1,
    tracking: TrackingTo = None,
    unchecked: Unchecked = False,
    json: AsJson = False,
) -> None:
    """Search a space: trial 0 is its base, the others what its sampler proposes.

    The same command goes on with a study, whatever ended it; --trials is the total. After the first
    Ctrl-C workers end with their batches and their trials wait, after the second they stop at once.
    """
    loaded = _sound(space)
    seconds, bound = _seconds(timeout), _bound(until)
    from risexp.app.search import Wanted

    cards = [] if gpus is None else [each for each in gpus.split(",") if each]
    wanted = Wanted(
        space=loaded,
        study=study or loaded.name,
        trials=trials or loaded.trials,
        workers=workers or _workers(cards, per_gpu),
        gpus=cards,
        device=device,
        threads=threads,
        overrides=set_ or (),
        epochs=epochs,
        patience=patience,
        timeout_s=seconds,
        until=bound,
        tracking=tracking,
        unchecked=unchecked,
    )
    _deliver(_searched(wanted, quiet=json), json)


def worker(
    study: Annotated[str, typer.Option(metavar="NAME", help="The study to work on.")],
    device: Device = "auto",
    threads: Threads = 1,
    tracking: TrackingTo = None,
    crew: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Work on a study until nothing is left of it; any number may, on any machine with its store.

    RISEXP_STORE names the store where it is not this home's own.
    """
    from risexp.app.devices import device_named
    from risexp.app.run import Machine
    from risexp.app.worker import Duty, work

    duty = Duty(study, Machine(device_named(device), threads), tracking, crew)
    code = work(duty, note)
    if code:
        raise typer.Exit(code)


def study_rows(rows: Sequence["TrialRow"]) -> None:
    """Trials as a table on stdout."""
    table(
        ["trial", "state", "epochs", "k_loc", "lowest", "why", "searched"],
        [
            (
                row.number,
                row.state,
                row.epoch,
                _number(row.value if row.value is not None else row.k_loc),
                _number(row.best),
                row.reason or "",
                ", ".join(f"{path} = {_short(value)}" for path, value in row.values.items()),
            )
            for row in rows
        ],
    )


def _sound(name: str) -> SearchSpace:
    """A space that every draw from is a run.

    Raises:
        SpaceInvalid: It is none.
    """
    space = load_space(name)
    report = check_space(space)
    if not report.sound:
        raise SpaceInvalid(f"space {space.name}: {report.problems[0]}")
    if space.stages:
        raise SpaceInvalid(
            f"space {space.name} has stages, and a search runs one at a time: name one of its own "
            "file, as `risexp space show` lists them"
        )
    return space


def _searched(wanted: "Wanted", *, quiet: bool) -> "Searched":
    from rich.console import Console

    from risexp.app.search import search
    from risexp.app.study_view import StudyView

    with StudyView(Console(stderr=True, quiet=quiet, highlight=False)) as view:
        return search(wanted, view.show, view.say)


def _deliver(found: "Searched", json: bool) -> None:
    """Say what was found, and leave with its exit code.

    Raises:
        VerificationFailed: The pruner was never told or asked.
        Exit: A signal ended it, or the study ended itself.
    """
    if json:
        emit(found.as_json())
    else:
        _say(found)
    if found.pruner_fault is not None:
        raise VerificationFailed(found.pruner_fault)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _say(found: "Searched") -> None:
    shown = found.table
    study_rows(shown.trials)
    say("")
    say(study_summary(shown))
    say(f"pruner: {found.heard}")
    if found.unsent:
        say(f"{found.unsent} lines of the record are not in MLflow yet: risexp sync")
    best = shown.best
    if best is not None:
        say(f"best: trial {best.number}, k_loc {_number(best.value)}, run {_run(shown, best)}")
    if not shown.over:
        say("the same command goes on")
    elif best is not None:
        for command in found.look:
            say(f"look:  {command}")
        say(f"next:  risexp eval {_run(shown, best)} --against nomp")


def _run(shown: "StudyTable", row: "TrialRow") -> str:
    from risexp.hpo.studies import run_id

    return run_id(shown.name, row.number)


def study_summary(shown: "StudyTable") -> str:
    """A study in one line."""
    from risexp.hpo.table import WORDS

    said = ", ".join(f"{shown.count(word)} {word}" for word in WORDS if shown.count(word))
    why = "" if shown.ended is None else f"; ended: {shown.ended}"
    return f"study {shown.name}: {said} of {shown.wanted}, {shown.epochs} epochs{why}"


def _workers(cards: Sequence[str], per_gpu: int) -> int:
    """As many as the GPUs hold; on CPUs one for each two cores, and one at least."""
    import os

    return len(cards) * per_gpu if cards else max(1, (os.cpu_count() or 2) // 2)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidInput(f"--timeout {text}: give a number and s, m or h, such as 2h")
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


def _bound(text: str | None) -> float | None:
    if text is None:
        return None
    found = _UNTIL.fullmatch(text)
    if found is None:
        raise InvalidInput(f"--until {text}: give a bound of the score, such as 'k_loc<4'")
    return float(found[1])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
