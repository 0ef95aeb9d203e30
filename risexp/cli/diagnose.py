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
    help="Probe data, scores and localiser: a verdict, its evidence, and what to do.",
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

    _deliver(diagnose_mdl(loaded.config, scenes, levels), json)


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

    _deliver(diagnose_references(loaded.config, scenes, levels), json)


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

    _deliver(diagnose_oracle(loaded.config, scenes, beta), json)


def _levels(snr: str | None, loaded: Loaded) -> tuple[float, ...] | None:
    """The SNRs that were asked for, if any were.

    Raises:
        ConfigInvalid: They are no SNRs, or `--set` asks for others.
    """
    if snr is not None and loaded.origins["data.snr_db"] == "--set":
        raise ConfigInvalid("data.snr_db (from --set) has no effect beside --snr: give one of them")
    return None if snr is None else snr_levels(snr)


def _deliver(report: "Report", json: bool) -> None:
    """Say the report.

    Raises:
        VerificationFailed: Its verdict is that something failed.
    """
    if json:
        emit(report.as_json())
    else:
        _say(report)
    if report.verdict == "fail":
        raise VerificationFailed(f"{report.name} failed: {report.advice[0]}")


def _say(report: "Report") -> None:
    from risexp.diagnostics.report import Number, Table

    say(f"{report.name}: {report.verdict}")
    numbers = [each for each in report.evidence if isinstance(each, Number)]
    rows = [(each.label, f"{_shown(each.value)} {each.unit}".rstrip()) for each in numbers]
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
