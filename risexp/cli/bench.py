"""`risexp bench`: what is measured to be compared."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from risexp.cli.data import SplitName
from risexp.cli.options import AsJson, Files, Overrides, Preset, resolved, snr_levels
from risexp.cli.output import emit, names_in, progress, say, say_tables, write_last
from risexp.config.layers import Loaded
from risexp.errors import ConfigInvalid

app = typer.Typer(
    no_args_is_help=True, help="Measure methods on common ground: accuracy, robustness."
)

Scenes = Annotated[int, typer.Option(min=1, metavar="N", help="How many scenes at each SNR.")]
Snr = Annotated[
    str,
    typer.Option(metavar="DB", help="First:last:step, both ends included; or numbers with commas."),
]
Methods = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="With commas between them: nomp, nomp:bic, nomp:aic; music, mvdr (count by MDL); "
        "music:true-k, mvdr:true-k; mdl, aic (count and MUSIC on per-snapshot samples); oracle.",
    ),
]
Split = Annotated[SplitName, typer.Option(help="Whose stream the scenes are drawn from.")]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A new folder for the table and its figures.")
]

Scenarios = Annotated[
    str, typer.Option(metavar="NAMES", help="All, or some with commas between them.")
]


@app.command("accuracy")
def accuracy(
    scenes: Scenes = 2000,
    snr: Snr = "-5:20:5",
    methods: Methods = "nomp,music,mvdr,mdl",
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    split: Split = SplitName.test,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Count and localise the same scenes by every method, beside references, bound and chance.

    Scenes of different SNRs differ in the power of their noise only. Times are of this machine;
    the dense form of MUSIC is timed in the same run.
    """
    levels = snr_levels(snr)
    loaded = resolved(preset, config, set_)
    _expect_no_other_snr(loaded)
    from risexp.app.benchmark.accuracy.document import document
    from risexp.app.benchmark.accuracy.files import new_folder, write_files
    from risexp.app.benchmark.accuracy.measure import chosen_methods, measure_accuracy
    from risexp.app.benchmark.accuracy.tables import text_tables

    chosen = chosen_methods(names_in(methods), loaded.config)
    total = len(levels) * scenes * (len(chosen) + 1)
    with nullcontext() if out is None else new_folder(out) as folder:
        with progress("answers", total) as advance:
            found = measure_accuracy(loaded.config, chosen, levels, scenes, split.value, advance)
        if json:
            emit(document(found))
        else:
            say(f"{scenes} {split.value} scenes at each SNR, config {loaded.config.law_sha()[:12]}")
            say_tables(text_tables(found))
        write_last(folder, out, partial(write_files, found))


@app.command("robustness")
def robustness(
    scenes: Scenes = 500,
    snr: Snr = "10",
    methods: Methods = "nomp,nomp:bic,music:true-k",
    scenarios: Scenarios = "all",
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Disturb the same scenes by degrees, unknown to the methods, and see what they lose.

    Scenarios: wavefront, amplitude, amplitude-near, phase, dead, coherent, power, pairs, label.
    `lost` is the success rate of the undisturbed level minus this one's, paired by scene.
    """
    levels = snr_levels(snr)
    loaded = resolved(preset, config, set_)
    _expect_no_other_snr(loaded)
    from risexp.app.benchmark.accuracy.files import new_folder
    from risexp.app.benchmark.accuracy.measure import chosen_methods
    from risexp.app.benchmark.robustness.document import document
    from risexp.app.benchmark.robustness.files import write_files
    from risexp.app.benchmark.robustness.measure import measure_robustness
    from risexp.app.benchmark.robustness.scenarios import chosen_scenarios
    from risexp.app.benchmark.robustness.tables import LEGEND, text_tables

    build = partial(chosen_methods, names_in(methods))
    chosen = chosen_scenarios(names_in(scenarios), loaded.config)
    heard = scenes * len(levels) * sum(len(scenario.levels) for scenario in chosen.values())
    total = heard * len(build(loaded.config))
    with nullcontext() if out is None else new_folder(out) as folder:
        with progress("answers", total) as advance:
            found = measure_robustness(loaded.config, build, chosen, levels, scenes, advance)
        if json:
            emit(document(found))
        else:
            config_sha = loaded.config.law_sha()[:12]
            say(f"{scenes} test scenes at each SNR, config {config_sha}; 95 % intervals;")
            say(LEGEND)
            say_tables(text_tables(found))
        write_last(folder, out, partial(write_files, found))


def _expect_no_other_snr(loaded: Loaded) -> None:
    origin = loaded.origins["data.snr_db"]
    if not origin.startswith(("default", "preset")):
        raise ConfigInvalid(
            f"data.snr_db (from {origin}) has no effect here: --snr decides the SNRs"
        )
