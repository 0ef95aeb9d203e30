"""`risexp eval`: a trained network beside other methods, on the same scenes."""

from contextlib import nullcontext
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.bench import Out, Scenes, Snr, Split
from risexp.cli.data import SplitName
from risexp.cli.options import AsJson, Device, ModelName, Overrides, Threads, snr_levels
from risexp.cli.output import emit, names_in, note, progress, say, say_tables, write_last

if TYPE_CHECKING:
    from risexp.app.benchmark.accuracy.measure import AccuracyTable
    from risexp.registry.sealed_model import Bundle

Against = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Methods of `bench accuracy`, with commas between them; and of the network's own: "
        "network:pointers, network+bic, network:true-k.",
    ),
]


class RefineName(StrEnum):
    """Where positions come from."""

    none = "none"
    measurement = "measurement"


Refine = Annotated[
    RefineName,
    typer.Option(help="measurement: also show the network moved on to fit the measurements."),
]


def evaluate(
    model: ModelName,
    against: Against = "nomp,music,mdl",
    refine: Refine = RefineName.none,
    scenes: Scenes = 2000,
    snr: Snr = "-5:20:5",
    set_: Overrides = None,
    split: Split = SplitName.test,
    device: Device = "auto",
    threads: Threads = 1,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Count and localise the same scenes by a trained network and by other methods.

    The network of a run is that of its best epoch: its averaged weights, its beta, its temperature.
    The scenes are of its own law; --set changes them (fields of physics and data), not the network.
    """
    levels = snr_levels(snr)
    import torch

    from risexp.app.benchmark.accuracy.files import new_folder, write_files
    from risexp.app.benchmark.accuracy.measure import measure_accuracy
    from risexp.app.benchmark.evaluate import compared, scenes_law
    from risexp.app.run.machine import device_named
    from risexp.app.serving.resolve_model import load_trained

    torch.set_num_threads(threads)
    found = load_trained(model, device_named(device))
    for sentence in found.damaged:
        note(sentence)
    config = scenes_law(found.config, set_ or ())
    chosen = compared(found, config, names_in(against), refine.value)
    total = len(levels) * scenes * (len(chosen) + 1)
    with nullcontext() if out is None else new_folder(out) as folder:
        with progress("answers", total) as advance:
            measured = measure_accuracy(config, chosen, levels, scenes, split.value, advance)
        _tell(found.bundle, measured, json=json)
        write_last(folder, out, partial(write_files, measured))


def _tell(bundle: "Bundle", measured: "AccuracyTable", *, json: bool) -> None:
    """The table, and which network is in it."""
    from risexp.app.benchmark.accuracy.document import document
    from risexp.app.benchmark.accuracy.tables import text_tables

    if json:
        emit(
            document(measured)
            | {"run": bundle.run_id, "epoch": bundle.epoch}
            | {"network_sha": bundle.config_sha, "temperature": bundle.temperature}
        )
        return
    say(
        f"run {bundle.run_id}, epoch {bundle.epoch}"
        f"{'' if bundle.temperature else ', not calibrated'}; {measured.scenes_per_snr} "
        f"{measured.split} scenes at each SNR, config {measured.config.law_sha()[:12]}"
    )
    say_tables(text_tables(measured))
