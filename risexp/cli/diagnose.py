"""`risexp diagnose`: ask what is wrong before asking for more training."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.levels import snr_levels
from risexp.cli.options import AsJson, Files, Overrides, Preset, resolved
from risexp.cli.output import emit, say, table
from risexp.config.layers import Loaded
from risexp.config.run import RunConfig
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
LearnedScenes = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many are learned by heart.")
]
ScenesOfAKind = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many scenes of each kind.")
]
ScenesOfALength = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many scenes at each length.")
]
FreshScenes = Annotated[
    int, typer.Option(min=0, metavar="N", help="Scenes seen once before fresh ones are counted.")
]
TrainScenes = Annotated[
    int, typer.Option(min=0, metavar="N", help="Scenes a network sees once; 0 leaves it out.")
]
Epochs = Annotated[
    int, typer.Option(min=1, metavar="N", help="At most; it ends once all is learned.")
]
Snr = Annotated[
    str | None,
    typer.Option(
        metavar="DB",
        help="First:last:step, or numbers with commas; by default each 5 dB of the configured law.",
    ),
]
FloorBeta = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Share of the samples whose floor is measured.")
]
LearnedBeta = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, help="Share of the samples; by default the configured final one."
    ),
]
Start = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="Start from the best weights of a run, as it was configured."),
]
Runs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RUN",
        help="A trained run to set beside NOMP at the snapshots it was trained with, under its own "
        "law; may be given again.",
    ),
]


@dataclass(frozen=True)
class ProbeOptions:
    """What a probe is asked about."""

    loaded: Loaded
    """The configuration, and where each value of it comes from."""
    given: bool
    """Whether an option of the command said any of it."""

    @property
    def config(self) -> RunConfig:
        """The configuration."""
        return self.loaded.config

    def levels(self, snr: str | None) -> tuple[float, ...] | None:
        """The SNRs that were asked for, if any were.

        Raises:
            ConfigInvalid: They are no SNRs, or `--set` asks for others.
        """
        if snr is not None and self.loaded.origins["data.snr_db"] == "--set":
            raise ConfigInvalid(
                "data.snr_db (from --set) has no effect beside --snr: give one of them"
            )
        return None if snr is None else snr_levels(snr)

    def expect_nothing(self, beside: str, whose: str) -> None:
        """Check that nothing was given beside an option that brings a configuration.

        Raises:
            ConfigInvalid: Something was.
        """
        if self.given:
            raise ConfigInvalid(f"{beside} brings {whose} own configuration: leave out the rest")


Ask = Callable[..., "Report"]
"""A probe: what it is asked about, then the options that are its own."""


def probe(name: str) -> Callable[[Ask], Ask]:
    """Make a command of a probe: its own options, then those that every probe has."""

    def register(ask: Ask) -> Ask:
        def command(
            *,
            preset: Preset = None,
            config: Files = None,
            set_: Overrides = None,
            json: AsJson = False,
            **own: object,
        ) -> None:
            asked = ProbeOptions(resolved(preset, config, set_), bool(preset or config or set_))
            deliver(ask(asked, **own), json)

        _, *options = inspect.signature(ask).parameters.values()
        *shared, _ = inspect.signature(command).parameters.values()
        # Typer reads the options of a command from its signature.
        command.__signature__ = inspect.Signature([*options, *shared])  # type: ignore[attr-defined]
        app.command(name, help=ask.__doc__)(command)
        return ask

    return register


@probe("mdl")
def mdl(asked: ProbeOptions, scenes: Scenes = 400, snr: Snr = None) -> "Report":
    """Ask MDL and AIC for the count: on ideal data, then on the covariances of these scenes."""
    levels = asked.levels(snr)
    from risexp.app.run.diagnose import diagnose_mdl

    return diagnose_mdl(asked.config, scenes, levels)


@probe("references")
def references(asked: ProbeOptions, scenes: Scenes = 400, snr: Snr = None) -> "Report":
    """Compute what a score can at best be, by SNR."""
    levels = asked.levels(snr)
    from risexp.app.run.diagnose import diagnose_references

    return diagnose_references(asked.config, scenes, levels)


@probe("oracle")
def oracle(asked: ProbeOptions, scenes: Scenes = 256, beta: FloorBeta = 0.3) -> "Report":
    """Feed labels as predictions, which must be perfect; exit code 4 if they are not."""
    from risexp.app.run.diagnose import diagnose_oracle

    return diagnose_oracle(asked.config, scenes, beta)


@probe("litmus")
def litmus(asked: ProbeOptions) -> "Report":
    """Take five steps on one batch: the loss must fall, and every parameter have a gradient."""
    from risexp.app.run.diagnose import diagnose_litmus

    return diagnose_litmus(asked.config)


@probe("overfit")
def overfit(asked: ProbeOptions, scenes: LearnedScenes = 512, epochs: Epochs = 100) -> "Report":
    """Learn the covariance of a few scenes by heart; every count must come within 0.1."""
    from risexp.app.run.diagnose import diagnose_overfit

    return diagnose_overfit(asked.config, scenes, epochs)


@probe("k-head")
def k_head(
    asked: ProbeOptions,
    fresh: FreshScenes = 8192,
    beta: LearnedBeta = None,
    checkpoint: Start = None,
) -> "Report":
    """Learn the counts of 64 scenes by heart; then count fresh ones, surely better than chance."""
    if checkpoint is not None:
        asked.expect_nothing("--checkpoint", "its run's")
    from risexp.app.run.diagnose import diagnose_k_head, diagnose_k_head_of
    from risexp.diagnostics.k_head import Amount

    amount = Amount(fresh=fresh)
    if checkpoint is None:
        return diagnose_k_head(asked.config, amount, beta)
    return diagnose_k_head_of(checkpoint, amount, beta)


@probe("gradients")
def gradients(asked: ProbeOptions, scenes: ScenesOfAKind = 16) -> "Report":
    """Compute every term of the loss and its gradient on degenerate scenes."""
    from risexp.app.run.diagnose import diagnose_gradients

    return diagnose_gradients(asked.config, scenes)


@probe("l-ablation")
def l_ablation(
    asked: ProbeOptions,
    scenes: ScenesOfALength = 400,
    train_scenes: TrainScenes = 0,
    run: Runs = None,
) -> "Report":
    """Count the same sources with 16, 32 and 64 snapshots, and take the time."""
    if run:
        asked.expect_nothing("--run", "its run's")
    elif not asked.loaded.origins["physics.snapshots"].startswith(("default", "preset")):
        raise ConfigInvalid("physics.snapshots has no effect here: 16, 32 and 64 are compared")
    from risexp.app.run.diagnose import diagnose_l_ablation, diagnose_l_ablation_of

    if run:
        return diagnose_l_ablation_of(run, scenes, train_scenes)
    return diagnose_l_ablation(asked.config, scenes, train_scenes)


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
