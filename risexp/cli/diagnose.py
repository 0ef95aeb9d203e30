"""`risexp diagnose`: ask what is wrong before asking for more training."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.levels import snr_levels
from risexp.cli.options import AsJson, Files, Overrides, Preset, resolved
from risexp.cli.output import emit, say, table
from risexp.config.layers import Loaded
from risexp.errors import ConfigInvalid, VerificationFailed

if TYPE_CHECKING:
    from risexp.diagnostics.report import Cell, Report

app = typer.Typer(
    no_args_is_help=True,
    help="Probe data, scores, localiser and learning: a verdict, its evidence, and what to do.",
)

Scenes = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many scenes, the same ones at each SNR.")
]
Snr = Annotated[
    str | None,
    typer.Option(
        metavar="DB",
        help="First:last:step, or numbers with commas; by default each 5 dB of the configured law.",
    ),
]


@app.command("mdl")
def mdl(
    scenes: Scenes = 400,
    snr: Snr = None,
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Ask MDL and AIC for the count: on ideal data, then on the covariances of these scenes."""
    loaded = resolved(preset, config, set_)
    levels = _levels(snr, loaded)
    from risexp.app.diagnose import diagnose_mdl

    deliver(diagnose_mdl(loaded.config, scenes, levels), json)


@app.command("references")
def references(
    scenes: Scenes = 400,
    snr: Snr = None,
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Compute what a score can at best be, by SNR."""
    loaded = resolved(preset, config, set_)
    levels = _levels(snr, loaded)
    from risexp.app.diagnose import diagnose_references

    deliver(diagnose_references(loaded.config, scenes, levels), json)


@app.command("oracle")
def oracle(
    scenes: Scenes = 256,
    beta: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of the samples whose floor is measured."),
    ] = 0.3,
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Feed labels as predictions, which must be perfect; exit code 4 if they are not."""
    loaded = resolved(preset, config, set_)
    from risexp.app.diagnose import diagnose_oracle

    deliver(diagnose_oracle(loaded.config, scenes, beta), json)


@app.command("litmus")
def litmus(
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Take five steps on one batch: the loss must fall, and every parameter have a gradient."""
    loaded = resolved(preset, config, set_)
    from risexp.app.diagnose import diagnose_litmus

    deliver(diagnose_litmus(loaded.config), json)


@app.command("overfit")
def overfit(
    scenes: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many are learned by heart.")
    ] = 512,
    epochs: Annotated[
        int, typer.Option(min=1, metavar="N", help="At most; it ends once all is learned.")
    ] = 100,
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Learn the covariance of a few scenes by heart; every count must come within 0.1."""
    loaded = resolved(preset, config, set_)
    from risexp.app.diagnose import diagnose_overfit

    deliver(diagnose_overfit(loaded.config, scenes, epochs), json)


@app.command("k-head")
def k_head(
    fresh: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Scenes seen once before fresh ones are counted."),
    ] = 8192,
    beta: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Share of the samples; by default the configured final one."
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Start from the best weights of a run, as it was configured."
        ),
    ] = None,
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Learn the counts of 64 scenes by heart; then count fresh ones, surely better than chance."""
    if checkpoint is not None and (preset or config or set_):
        raise ConfigInvalid("--checkpoint brings its run's own configuration: leave out the rest")
    loaded = None if checkpoint is not None else resolved(preset, config, set_)
    from risexp.app.diagnose import diagnose_k_head, diagnose_k_head_of
    from risexp.diagnostics.k_head import Amount

    amount = Amount(fresh=fresh)
    if loaded is None:
        deliver(diagnose_k_head_of(str(checkpoint), amount, beta), json)
    else:
        deliver(diagnose_k_head(loaded.config, amount, beta), json)


@app.command("gradients")
def gradients(
    scenes: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many scenes of each kind.")
    ] = 16,
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Compute every term of the loss and its gradient on degenerate scenes."""
    loaded = resolved(preset, config, set_)
    from risexp.app.diagnose import diagnose_gradients

    deliver(diagnose_gradients(loaded.config, scenes), json)


@app.command("l-ablation")
def l_ablation(
    scenes: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many scenes at each length.")
    ] = 400,
    train_scenes: Annotated[
        int, typer.Option(min=0, metavar="N", help="Scenes a network sees once; 0 leaves it out.")
    ] = 0,
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Count the same sources with 16, 32 and 64 snapshots, and take the time."""
    loaded = resolved(preset, config, set_)
    if not loaded.origins["physics.snapshots"].startswith(("default", "preset")):
        raise ConfigInvalid("physics.snapshots has no effect here: 16, 32 and 64 are compared")
    from risexp.app.diagnose import diagnose_l_ablation

    deliver(diagnose_l_ablation(loaded.config, scenes, train_scenes), json)


def _levels(snr: str | None, loaded: Loaded) -> tuple[float, ...] | None:
    """The SNRs that were asked for, if any were.

    Raises:
        ConfigInvalid: They are no SNRs, or `--set` asks for others.
    """
    if snr is not None and loaded.origins["data.snr_db"] == "--set":
        raise ConfigInvalid("data.snr_db (from --set) has no effect beside --snr: give one of them")
    return None if snr is None else snr_levels(snr)


def deliver(report: "Report", json: bool, document: object = None) -> None:
    """Say the report.

    Args:
        report: What was found.
        json: Whether to say it as one document.
        document: That document, where it holds more than the report.

    Raises:
        VerificationFailed: Its verdict is that something failed.
    """
    if json:
        emit(report.as_json() if document is None else document)
    else:
        _say(report)
    if report.verdict == "fail":
        raise VerificationFailed(f"{report.name} failed: {report.advice[0]}")


def _say(report: "Report") -> None:
    from risexp.diagnostics.report import Number, Table

    say(f"{report.name}: {report.verdict}")
    numbers = [each for each in report.evidence if isinstance(each, Number)]
    rows = [(each.label, f"{_shown(each.value)} {each.unit}".rstrip()) for each in numbers]
    if rows:
        table(["measured", "value"], rows)
    for each in report.evidence:
        if isinstance(each, Table):
            say(f"\n{each.label}")
            table(each.headings, [[_shown(cell) for cell in row] for row in each.rows])
    say("\nadvice")
    for sentence in report.advice:
        say(f"- {sentence}")


def _shown(cell: "Cell") -> str:
    """A cell as people read it: rates with their interval, numbers to what they are sure of."""
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
