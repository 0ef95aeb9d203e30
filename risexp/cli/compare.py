"""`risexp compare`: runs side by side, and the differences that exceed the noise."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from risexp.cli.options import AsJson, Device, Threads, snr_levels
from risexp.cli.output import (
    answer,
    note,
    progress,
    say,
    say_tables,
    short,
    table,
    write_last,
)
from risexp.cli.study_output import number
from risexp.errors import InvalidInput

if TYPE_CHECKING:
    from risexp.app.compare.compare import Comparison, RankedRun, RunAnswers
    from risexp.app.show.run import RunSeen

RunNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN]...", help="Runs, by name or by the path of their folders."),
]
StudyOption = Annotated[
    str | None, typer.Option(metavar="STUDY", help="Compare its best complete trials.")
]
Top = Annotated[int, typer.Option(min=2, metavar="N", help="Largest number of trials.")]
Scenes = Annotated[
    int | None,
    typer.Option(
        min=100,
        metavar="N",
        help="Let the networks answer this many fresh test scenes at each SNR, the same for all; "
        "without it their recorded validations are compared.",
    ),
]
Snr = Annotated[
    str,
    typer.Option(metavar="DB", help="SNRs of --scenes: first:last:step, or numbers with commas."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="A new folder for the plots and the document."),
]
_HEADINGS: Final = (
    *("run", "state", "epoch", "k_loc", "k_acc", "success"),
    *("against best", "verdict", "remark"),
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
    """Compare runs by k_loc: scores, configurations, and differences beyond noise.

    A run whose difference to the best one is within the noise of scenes and seeds ties with it; all
    verdicts hold together at 95 %. The noise is stated under the table.
    """
    if bool(runs) == (study is not None):
        raise InvalidInput("name runs to compare, or a study with --study, and not both")
    levels = snr_levels(snr)
    from risexp.app.benchmark.results import new_folder
    from risexp.app.compare.compare import best_runs, read_runs
    from risexp.app.compare.compare import compare as compare_runs
    from risexp.app.compare.files import write_files

    names = (runs or []) if study is None else best_runs(study, top)
    seen = read_runs(names)
    with nullcontext() if out is None else new_folder(out) as folder:
        answers = None if scenes is None else _answers(seen, levels, scenes, device, threads)
        comparison = compare_runs(seen, answers)
        answer(lambda: _document(comparison), lambda: _say(comparison), json=json)
        write_last(folder, out, partial(write_files, comparison))


def _answers(
    seen: "list[RunSeen]", levels: tuple[float, ...], scenes: int, device: str, threads: int
) -> "RunAnswers":
    import torch

    from risexp.app.compare.compare import answer_scenes
    from risexp.app.run.machine import device_named

    torch.set_num_threads(threads)
    total = len(levels) * scenes * (len(seen) + 2)
    with progress("answers", total) as advance:
        answers = answer_scenes(seen, levels, scenes, device_named(device), advance)
    for sentence in answers.damaged:
        note(sentence)
    return answers


def _document(comparison: "Comparison") -> dict[str, object]:
    if comparison.answers is None:
        return comparison.as_json()
    from risexp.app.benchmark.accuracy.document import accuracy_result

    return comparison.as_json() | {"answers": accuracy_result(comparison.answers.table).document}


def _say(comparison: "Comparison") -> None:
    runs = comparison.runs
    table(_HEADINGS, [*(_cells(comparison, run) for run in runs), *_references(comparison)])
    say("")
    for sentence in comparison.noise:
        say(sentence)
    if len(runs) > 2:
        pairs = len(runs) * (len(runs) - 1) // 2
        say(f"each of {pairs} pairs at {comparison.level:.1%}, so that all hold together at 95 %")
    say("")
    if comparison.fields:
        table(
            ["field", *(run.seen.name for run in runs)],
            [(path, *map(short, values)) for path, values in comparison.fields.items()],
        )
    else:
        say("their configurations are the same")
    if comparison.answers is not None:
        from risexp.app.benchmark.accuracy.document import accuracy_result

        say_tables(accuracy_result(comparison.answers.table).blocks)


def _cells(comparison: "Comparison", run: "RankedRun") -> list[object]:
    scores = _fresh_scores(comparison, run.seen.name) or dict(run.seen.best)
    gap = run.differences.get("k_loc")
    return [
        run.seen.name,
        run.seen.state,
        run.seen.best_epoch or "",
        f"{run.k_loc:.3f}",
        f"{scores['k_acc']:.3f}",
        f"{scores['success_rate']:.3f}",
        "" if gap is None else f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]",
        run.verdict,
        "; ".join(run.remarks),
    ]


def _fresh_scores(comparison: "Comparison", row: str) -> dict[str, float]:
    if comparison.answers is None:
        return {}
    return dict(comparison.answers.table.rows[row].mean.value.items())


def _references(comparison: "Comparison") -> list[list[object]]:
    """Rows of chance, NOMP and the reference on the same scenes as the scores."""
    best = comparison.runs[0].seen
    if comparison.answers is None:
        _, *columns = zip(*(scores for _, *scores in best.beside()), strict=True)
        pairs = dict(zip(("chance", "NOMP", "reference"), columns, strict=True))
    else:
        from risexp.app.compare.compare import NOMP

        means = {
            name: sum(values) / len(values)
            for name, values in comparison.answers.table.references.items()
        }
        nomp = _fresh_scores(comparison, NOMP)
        pairs = {
            "chance": (means["k_chance"], 0.0),
            "NOMP": (nomp["k_acc"], nomp["success_rate"]),
            "reference": (means["k_reference"], means["success_reference"]),
        }
    remark = f"scenes of {best.name}" if comparison.answers is None else ""
    return [[name, "", "", "", *map(number, pair), "", "", remark] for name, pair in pairs.items()]
