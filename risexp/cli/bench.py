"""`risexp bench`: measure methods on the same scenes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.data import SplitName
from risexp.cli.options import AsJson, Device, resolved, shared, snr_levels
from risexp.cli.output import emit, names_in, progress, say, say_tables, write_last
from risexp.errors import ConfigInvalid

if TYPE_CHECKING:
    from risexp.app.benchmark.methods import Method
    from risexp.app.benchmark.results import BenchmarkResult
    from risexp.config.layers import Loaded
    from risexp.config.run import RunConfig
    from risexp.data.streams import Split as SplitText

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
@shared(resolved)
def accuracy(
    loaded: "Loaded",
    scenes: Scenes = 2000,
    snr: Snr = "-5:20:5",
    methods: Methods = "nomp,music,mvdr,mdl",
    split: Split = SplitName.test,
    out: Out = None,
    device: Device = "auto",
    json: AsJson = False,
) -> None:
    """Count and localise the same scenes by every method, beside references, bound and chance.

    Scenes of different SNRs differ in the power of their noise only. Times are of this machine;
    the dense form of MUSIC is timed in the same run.
    """
    levels = snr_levels(snr)
    _expect_no_other_snr(loaded)
    chosen = _chosen(names_in(methods), device, loaded.config)
    show_accuracy(loaded.config, chosen, (levels, scenes, split.value), "", out, json=json)


@app.command("robustness")
@shared(resolved)
def robustness(
    loaded: "Loaded",
    scenes: Scenes = 500,
    snr: Snr = "10",
    methods: Methods = "nomp,nomp:bic,music:true-k",
    scenarios: Scenarios = "all",
    out: Out = None,
    device: Device = "auto",
    json: AsJson = False,
) -> None:
    """Disturb the same scenes by degrees, unknown to the methods, and see what they lose.

    Scenarios: wavefront, amplitude, amplitude-near, phase, dead, coherent, power, pairs, label.
    `lost` is the success rate of the undisturbed level minus this one's, paired by scene.
    """
    levels = snr_levels(snr)
    _expect_no_other_snr(loaded)
    from risexp.app.benchmark.robustness.document import LEGEND, robustness_result
    from risexp.app.benchmark.robustness.measure import measure_robustness
    from risexp.app.benchmark.robustness.scenarios import chosen_scenarios

    build = partial(_chosen, names_in(methods), device)
    law = loaded.config
    chosen = chosen_scenarios(names_in(scenarios), law)
    disturbed = scenes * len(levels) * sum(len(scenario.levels) for scenario in chosen.values())
    show_benchmark(
        lambda advance: robustness_result(
            measure_robustness(law, build, chosen, levels, scenes, advance)
        ),
        disturbed * len(build(law)),
        f"{scenes} test scenes at each SNR, config {law.law_sha()[:12]}; 95 % intervals;\n{LEGEND}",
        out,
        json=json,
    )


def _chosen(names: "Sequence[str]", device: str, law: "RunConfig") -> "dict[str, Method]":
    """The methods of some names, which answer on a device the scenes that a CPU draws."""
    from risexp.app.benchmark.accuracy.measure import chosen_methods
    from risexp.app.benchmark.methods import on_device
    from risexp.app.run.machine import device_named

    place = device_named(device)
    chosen = chosen_methods(names, law)
    return {name: on_device(method, place) for name, method in chosen.items()}


def _expect_no_other_snr(loaded: "Loaded") -> None:
    origin = loaded.origins["data.snr_db"]
    if not origin.startswith(("default", "preset")):
        raise ConfigInvalid(
            f"data.snr_db (from {origin}) has no effect here: --snr decides the SNRs"
        )


def show_accuracy(
    law: "RunConfig",
    methods: "Mapping[str, Method]",
    draw: "tuple[tuple[float, ...], int, SplitText]",
    heading: str,
    out: Path | None,
    *,
    json: bool,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Measure methods on scenes of a configuration, and show the result."""
    from risexp.app.benchmark.accuracy.document import accuracy_result
    from risexp.app.benchmark.accuracy.measure import measure_accuracy

    levels, scenes, split = draw
    show_benchmark(
        lambda advance: accuracy_result(measure_accuracy(law, methods, *draw, advance)),
        len(levels) * scenes * (len(methods) + 1),
        f"{heading}{scenes} {split} scenes at each SNR, config {law.law_sha()[:12]}",
        out,
        json=json,
        facts=facts,
    )


def show_benchmark(
    measure: Callable[[Callable[[int], None]], "BenchmarkResult"],
    total: int,
    heading: str,
    out: Path | None,
    *,
    json: bool,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Measure with a progress bar, show the result, and write its files into a new folder."""
    from risexp.app.benchmark.results import new_folder

    with nullcontext() if out is None else new_folder(out) as folder:
        with progress("answers", total) as advance:
            result = measure(advance)
        if json:
            emit({**result.document, **(facts or {})})
        else:
            say(heading)
            say_tables(result.blocks)
        write_last(folder, out, result.write)
