"""The options of probes, and what they make of them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer
from typer.models import OptionInfo

from risexp.cli.options import AsJson, Device, Files, Overrides, Preset, resolved, snr_levels
from risexp.errors import ConfigInvalid

if TYPE_CHECKING:
    import torch

    from risexp.config.layers import Loaded
    from risexp.config.run import RunConfig
    from risexp.diagnostics.probe_trainer import ProbeTrainer


def _number(least: int, meaning: str) -> OptionInfo:
    option: OptionInfo = typer.Option(min=least, metavar="N", help=meaning)
    return option


def _share(meaning: str) -> OptionInfo:
    option: OptionInfo = typer.Option(min=0.0, max=1.0, help=meaning)
    return option


Scenes = Annotated[int, _number(1, "Number of scenes, the same at every SNR.")]
LearnedScenes = Annotated[int, _number(1, "Number of memorised scenes.")]
ScenesOfAKind = Annotated[int, _number(1, "Number of scenes of every kind.")]
ScenesOfALength = Annotated[int, _number(1, "Number of scenes at every length.")]
FreshScenes = Annotated[int, _number(0, "Scenes seen once before fresh ones are counted.")]
TrainScenes = Annotated[int, _number(0, "Scenes that a network sees once; 0 skips it.")]
Epochs = Annotated[int, _number(1, "Most epochs; it ends early once all is learned.")]
FloorBeta = Annotated[float, _share("Share of the samples in the blend whose floor is measured.")]
LearnedBeta = Annotated[
    float | None, _share("Share of the samples; by default the configured final one.")
]
Snr = Annotated[
    str | None,
    typer.Option(
        metavar="DB",
        help="FIRST:LAST:STEP or comma-separated numbers; by default every 5 dB of the law.",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        metavar="RUN", help="Start from the best weights of a run, with its configuration."
    ),
]
Runs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RUN",
        help="A trained run to compare with NOMP at its own snapshots and law; may be repeated.",
    ),
]


@dataclass(frozen=True)
class ProbeOptions:
    """The options that all probes share."""

    loaded: "Loaded"
    changed: bool
    json: bool = False
    device: str = "cpu"

    @property
    def config(self) -> "RunConfig":
        """The configuration."""
        return self.loaded.config

    @property
    def trainer(self) -> "ProbeTrainer":
        """What trains the networks of probes."""
        from risexp.diagnostics.probe_trainer import ProbeTrainer

        return ProbeTrainer(device=self.torch_device)

    @property
    def torch_device(self) -> "torch.device":
        """The device that networks of probes are trained on."""
        from risexp.app.run.machine import device_named

        return device_named(self.device)

    def levels(self, snr: str | None) -> tuple[float, ...]:
        """The SNRs of `--snr`, by default every 5 dB of the configured law."""
        if snr is not None and self.loaded.origins["data.snr_db"] == "--set":
            raise ConfigInvalid(
                "data.snr_db (from --set) has no effect beside --snr: give one of them"
            )
        if snr is not None:
            return snr_levels(snr)
        from risexp.diagnostics.probe_data import configured_levels

        return configured_levels(self.config.data)

    def expect_unchanged(self, option: str) -> None:
        """Check that no configuration stands beside an option that names a run."""
        if self.changed:
            raise ConfigInvalid(f"{option} brings its run's own configuration: leave out the rest")


def probe_options(
    preset: Preset = None, config: Files = None, set_: Overrides = None, json: AsJson = False
) -> ProbeOptions:
    """The options that all probes share."""
    return ProbeOptions(resolved(preset, config, set_), bool(preset or config or set_), json)


def learning_options(
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    device: Device = "auto",
    json: AsJson = False,
) -> ProbeOptions:
    """The options that all probes of learning share."""
    return replace(probe_options(preset, config, set_, json), device=device)
