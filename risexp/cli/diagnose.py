"""`risexp diagnose` and `risexp preflight`: probes of data, scores, localiser and learning."""

import math
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, Device, resolved, shared
from risexp.cli.output import emit, note, say, table
from risexp.cli.probe_options import (
    Epochs,
    FloorBeta,
    FreshScenes,
    LearnedBeta,
    LearnedScenes,
    ProbeOptions,
    Runs,
    Scenes,
    ScenesOfAKind,
    ScenesOfALength,
    Snr,
    Start,
    TrainScenes,
    learning_options,
    probe_options,
)
from risexp.errors import ConfigInvalid, VerificationFailed

if TYPE_CHECKING:
    from risexp.config.layers import Loaded
    from risexp.diagnostics.preflight import Stage
    from risexp.diagnostics.report import Cell, Report

app = typer.Typer(
    no_args_is_help=True,
    help="Probe data, scores, localiser and learning: a verdict, its evidence, and advice.",
)

Probe = Callable[..., "Report"]
"""A probe: a function of the shared options, then of its own."""


def probe(name: str, read: Callable[..., ProbeOptions] = probe_options) -> Callable[[Probe], Probe]:
    """Register a probe as a command with its own options and the shared ones."""

    def register(run: Probe) -> Probe:
        @wraps(run, assigned=("__doc__",))
        def command(options: ProbeOptions, **own: object) -> None:
            deliver(run(options, **own), options.json)

        app.command(name)(shared(read)(command))
        return run

    return register


@probe("mdl")
def mdl(options: ProbeOptions, scenes: Scenes = 400, snr: Snr = None) -> "Report":
    """Count sources by MDL and AIC on ideal data, then on the covariances of these scenes."""
    levels = options.levels(snr)
    from risexp.diagnostics.mdl import probe_mdl

    return probe_mdl(options.config, scenes, levels)


@probe("references")
def references(options: ProbeOptions, scenes: Scenes = 400, snr: Snr = None) -> "Report":
    """Compute what scores can reach, by SNR."""
    levels = options.levels(snr)
    from risexp.diagnostics.references import probe_references

    return probe_references(options.config, scenes, levels)


@probe("oracle")
def oracle(options: ProbeOptions, scenes: Scenes = 256, beta: FloorBeta = 0.3) -> "Report":
    """Feed labels as predictions, which must score perfectly; exit code 4 if they do not."""
    from risexp.diagnostics.oracle import probe_oracle

    return probe_oracle(options.config, scenes, beta, options.levels(None))


@probe("litmus", learning_options)
def litmus(options: ProbeOptions) -> "Report":
    """Take five steps on one batch: the loss must fall, and every parameter needs a gradient."""
    from risexp.diagnostics.litmus import probe_litmus

    return probe_litmus(options.config, options.trainer)


@probe("overfit", learning_options)
def overfit(options: ProbeOptions, scenes: LearnedScenes = 512, epochs: Epochs = 100) -> "Report":
    """Memorise the covariances of a few scenes; the NMSE must fall far below its start."""
    from risexp.diagnostics.overfit import probe_overfit

    return probe_overfit(options.config, scenes, epochs, options.trainer)


@probe("k-head", learning_options)
def k_head(
    options: ProbeOptions,
    fresh: FreshScenes = 8192,
    beta: LearnedBeta = None,
    checkpoint: Start = None,
) -> "Report":
    """Memorise the counts of 64 scenes; then count fresh ones significantly better than chance."""
    if checkpoint is not None:
        options.expect_unchanged("--checkpoint")
    from risexp.app.run.diagnose import diagnose_k_head_of
    from risexp.diagnostics.k_head import Amount, probe_k_head

    amount = Amount(fresh=fresh)
    if checkpoint is None:
        return probe_k_head(options.config, amount, beta, options.trainer)
    return diagnose_k_head_of(checkpoint, amount, beta, options.torch_device)


@probe("gradients", learning_options)
def gradients(options: ProbeOptions, scenes: ScenesOfAKind = 16) -> "Report":
    """Compute every loss term and its gradient on degenerate scenes."""
    from risexp.diagnostics.gradients import probe_gradients

    return probe_gradients(options.config, scenes, options.trainer)


@probe("l-ablation", learning_options)
def l_ablation(
    options: ProbeOptions,
    scenes: ScenesOfALength = 400,
    train_scenes: TrainScenes = 0,
    run: Runs = None,
) -> "Report":
    """Count the same sources with 16, 32 and 64 snapshots, and measure the time."""
    if run:
        options.expect_unchanged("--run")
    elif not options.loaded.origins["physics.snapshots"].startswith(("default", "preset")):
        raise ConfigInvalid("physics.snapshots has no effect here: 16, 32 and 64 are compared")
    from risexp.app.run.diagnose import diagnose_l_ablation_of
    from risexp.diagnostics.l_ablation import probe_l_ablation

    if run:
        return diagnose_l_ablation_of(run, scenes, train_scenes, options.torch_device)
    return probe_l_ablation(options.config, scenes, train_scenes, trainer=options.trainer)


@shared(resolved)
def preflight(
    loaded: "Loaded",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the probes again, though the verdict is known.")
    ] = False,
    device: Device = "auto",
    json: AsJson = False,
) -> None:
    """Run the quick probes of learning: oracle, litmus, overfit and k-head; exit code 4 on failure.

    The verdict is kept under mlruns/preflight until the configuration or the code changes. On a GPU
    networks are compiled if training.compile says so, as the run will do.
    """
    from risexp.app.run import preflight as run
    from risexp.app.run.machine import device_named

    def tell(stage: "Stage") -> None:
        note(f"{stage.report.name}: {stage.report.verdict} after {stage.seconds:.1f} s")

    verdict = run.preflight(loaded.config, device_named(device), fresh=fresh, tell=tell)
    if verdict.remembered:
        note("remembered from an earlier preflight of this configuration and code")
    if verdict.unkept is not None:
        note(verdict.unkept)
    deliver(verdict.report, json, verdict.as_json())


def deliver(report: "Report", json: bool, document: object = None) -> None:
    """Print a report, or as JSON the document that holds more than it."""
    if json:
        emit(report.as_json() if document is None else document)
    else:
        _say(report)
    if report.verdict == "fail":
        raise VerificationFailed(f"{report.name} failed: {report.advice[0]}")


def _say(report: "Report") -> None:
    from risexp.diagnostics.report import Number, Table

    say(f"{report.name}: {report.verdict}")
    numbers = [item for item in report.evidence if isinstance(item, Number)]
    rows = [(item.label, f"{_shown(item.value)} {item.unit}".rstrip()) for item in numbers]
    if rows:
        table(["measured", "value"], rows)
    for item in report.evidence:
        if isinstance(item, Table):
            say(f"\n{item.label}")
            table(item.headings, [[_shown(cell) for cell in row] for row in item.rows])
    say("\nadvice")
    for sentence in report.advice:
        say(f"- {sentence}")


def _shown(cell: "Cell") -> str:
    """A cell as text: rates with their interval, numbers with three digits."""
    from risexp.diagnostics.report import Rate

    match cell:
        case None:
            return "-"
        case Rate():
            return f"{cell.value:.3f} ({cell.low:.2f}-{cell.high:.2f})"
        case float():
            return "-" if math.isnan(cell) else f"{cell:.3g}"
        case _:
            return str(cell)
