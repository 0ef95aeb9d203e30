"""`risexp eval`: a trained network beside other methods, on the same scenes."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.bench import Out, Scenes, Snr, Split, show_accuracy
from risexp.cli.data import SplitName
from risexp.cli.options import (
    AsJson,
    ModelName,
    Overrides,
    RefineName,
    computing,
    shared,
    snr_levels,
)
from risexp.cli.output import names_in, note

if TYPE_CHECKING:
    import torch

Against = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Methods of `bench accuracy`, with commas between them; and of the network's own: "
        "network:pointers, network+bic, network:true-k.",
    ),
]


Refine = Annotated[
    RefineName,
    typer.Option(help="measurement: also show the network moved on to fit the measurements."),
]


@shared(computing)
def evaluate(
    device: "torch.device",
    model: ModelName,
    against: Against = "nomp,music,mdl",
    refine: Refine = RefineName.none,
    scenes: Scenes = 2000,
    snr: Snr = "-5:20:5",
    set_: Overrides = None,
    split: Split = SplitName.test,
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Count and localise the same scenes by a trained network and by other methods.

    The network of a run is that of its best epoch: its averaged weights, its beta, its temperature.
    The scenes are of its own law; --set changes them (fields of physics and data), not the network.
    """
    levels = snr_levels(snr)
    from risexp.app.benchmark.evaluate import compared, scenes_law
    from risexp.app.serving.resolve_model import load_trained

    network = load_trained(model, device)
    for sentence in network.damaged:
        note(sentence)
    law, bundle = scenes_law(network.config, set_ or ()), network.bundle
    chosen = compared(network, law, names_in(against), refine.value)
    calibrated = "" if bundle.temperature else ", not calibrated"
    show_accuracy(
        law,
        chosen,
        (levels, scenes, split.value),
        f"run {bundle.run_id}, epoch {bundle.epoch}{calibrated}; ",
        out,
        json=json,
        facts={"run": bundle.run_id, "epoch": bundle.epoch}
        | {"network_sha": bundle.config_sha, "temperature": bundle.temperature},
    )
