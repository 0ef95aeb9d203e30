"""`risexp compare`: runs side by side, and which of their differences are more than chance."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from risexp.cli.levels import snr_levels
from risexp.cli.options import AsJson, Device, Threads
from risexp.cli.output import emit, note, say, table
from risexp.cli.progress import progress
from risexp.cli.tables import say_tables, write_last
from risexp.errors import InvalidInput

if TYPE_CHECKING:
    from risexp.app.compare.compare import Compared, Comparison, RunAnswers
    from risexp.app.show.run import RunSeen

RunNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN]...", help="Runs, by name or by the path of their folders."),
]
StudyOption = Annotated[
    str | None, typer.Option(metavar="STUDY", help="Compare its best complete trials.")
]
Top = Annotated[int, typer.Option(min=2, metavar="N", help="How many of them.")]
Scenes = Annotated[
    int | None,
    typer.Option(
        min=100,
        metavar="N",
        help="Let the networks answer so many fresh test scenes at each SNR, the same for all; "
        "without it, what their validations recorded is compared.",
    ),
]
Snr = Annotated[
    str, typer.Option(metavar="DB", help="Of --scenes: first:last:step, or numbers with commas.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="A new folder for the plots and the document."),
]
_HEADINGS: Final = (
    "run",
    "state",
    "epoch",
    "k_loc",
    "k_acc",
    "success",
    "against best",
    "verdict",
    "remark",
)


def compare(
    runs: RunNames = None,
    study: StudyOption = None,
    top: Top = 5,
    scenes: Scenes = None,
    snr: Snr = "-5:20:5",
    device: Device = "auto",
    threads: Threads = 1,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Compare runs by k_loc: their scores, what differs in their configurations, and what is noise.

    A run whose difference to the best one is within the noise of scenes and seeds is called a tie
    with it, together at 95 %. Which noise that is stands under the table.
    """
    if bool(runs) == (study is not None):
        raise InvalidInput("name runs to compare, or a study with --study, and not both")
    levels = snr_levels(snr)
    from risexp.app.benchmark.accuracy.files import new_folder
    from risexp.app.compare.best_of_study import best_runs
    from risexp.app.compare.compare import compare as compared
    from risexp.app.compare.compare import seen_runs
    from risexp.app.compare.files import write_files

    names = (runs or []) if study is None else best_runs(study, top)
    seen = seen_runs(names)
    with nullcontext() if out is None else new_folder(out) as folder:
        answers = None if scenes is None else _answers(seen, levels, scenes, device, threads)
        found = compared(seen, answers)
        if json:
            emit(_document(found))
        else:
            _say(found)
        write_last(folder, out, partial(write_files, found))


def _answers(
    seen: "list[RunSeen]", levels: tuple[float, ...], scenes: int, device: str, threads: int
) -> "RunAnswers":
    import torch

    from risexp.app.compare.compare import answer
    from risexp.app.run.devices import device_named

    torch.set_num_threads(threads)
    total = len(levels) * scenes * (len(seen) + 2)
    with progress("answers", total) as advance:
        found = answer(seen, levels, scenes, device_named(device), advance)
    for sentence in found.damaged:
        note(sentence)
    return found


def _document(found: "Comparison") -> dict[str, object]:
    if found.answers is None:
        return found.as_json()
    from risexp.app.benchmark.accuracy.document import document

    return found.as_json() | {"answers": document(found.answers.table)}


def _say(found: "Comparison") -> None:
    rows = [_cells(found, each) for each in found.runs]
    table(_HEADINGS, [*rows, *_yardsticks(found)])
    say("")
    for sentence in found.noise:
        say(sentence)
    if len(found.runs) > 2:
        pairs = len(found.runs) * (len(found.runs) - 1) // 2
        say(f"each of {pairs} pairs at {found.level:.1%}, so that all together hold at 95 %")
    say("")
    if found.fields:
        table(
            ["field", *(each.seen.name for each in found.runs)],
            [(path, *map(_short, values)) for path, values in found.fields.items()],
        )
    else:
        say("their configurations are the same")
    if found.answers is not None:
        from risexp.app.benchmark.accuracy.tables import text_tables

        say_tables(text_tables(found.answers.table))


def _cells(found: "Comparison", each: "Compared") -> list[object]:
    scores = _scores(found, each.seen.name) or dict(each.seen.best)
    apart = each.apart.get("k_loc")
    return [
        each.seen.name,
        each.seen.state,
        each.seen.best_epoch or "",
        f"{each.k_loc:.3f}",
        f"{scores['k_acc']:.3f}",
        f"{scores['success_rate']:.3f}",
        "" if apart is None else f"{apart.value:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}]",
        each.verdict,
        "; ".join(each.remarks),
    ]


def _scores(found: "Comparison", name: str) -> dict[str, float]:
    """Of the fresh scenes, where some were answered."""
    if found.answers is None:
        return {}
    return dict(found.answers.table.rows[name].mean.value.items())


def _yardsticks(found: "Comparison") -> list[list[object]]:
    """What the runs stand beside: chance, NOMP and the reference, of the scenes of the scores."""
    best = found.runs[0].seen
    if found.answers is None:
        told = {
            name: (best.best.get(count), best.best.get(success) if success else 0.0)
            for name, count, success in (
                ("chance", "k_majority", None),
                ("NOMP", "k_nomp", "success_nomp"),
                ("reference", "k_reference", "success_reference"),
            )
        }
        beside = f"scenes of {best.name}"
    else:
        from risexp.app.compare.compare import NOMP

        means = found.answers.table.references
        classical = _scores(found, NOMP)
        told = {
            "chance": (_mean(means["k_chance"]), 0.0),
            "NOMP": (classical["k_acc"], classical["success_rate"]),
            "reference": (_mean(means["k_reference"]), _mean(means["success_reference"])),
        }
        beside = ""
    return [
        [
            name,
            "",
            "",
            "",
            *("" if each is None else f"{each:.3f}" for each in pair),
            "",
            "",
            beside,
        ]
        for name, pair in told.items()
    ]


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
