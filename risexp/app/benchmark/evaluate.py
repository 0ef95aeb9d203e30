"""A trained network in the table of all methods, on the same scenes."""

from collections.abc import Iterator, Sequence
from typing import Final

from risexp.app.benchmark.accuracy.measure import chosen_methods
from risexp.app.benchmark.methods import NETWORK, Method, network_methods
from risexp.app.serving.resolve_model import TrainedNetwork
from risexp.config.layers import override_layer, with_overrides
from risexp.config.run import RunConfig, fields
from risexp.config.training import Refinement
from risexp.errors import ConfigInvalid

HELD: Final = (
    "physics.elements_h",
    "physics.elements_v",
    "physics.symbols",
    "data.sources_max",
    "data.snr_db",
)
"""Fields that cannot be set for an evaluation: a network is built for them; --snr sets the SNR."""


def scenes_law(trained: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Configuration of the scenes for an evaluation: the network's own, with overrides."""
    for path in _named(overrides):
        if path == "data.snr_db":
            raise ConfigInvalid("data.snr_db has no effect on an evaluation: set --snr")
        if path in fields() and not path.startswith(("physics.", "data.")):
            raise ConfigInvalid(
                f"{path} cannot be set for an evaluation, which changes the scenes alone: set "
                f"fields of physics and data, without {', '.join(HELD[:-1])} and {HELD[-1]}"
            )
    return with_overrides(trained, overrides)


def _named(overrides: Sequence[str]) -> Iterator[str]:
    """Paths of the fields that are set."""
    for text in overrides:
        yield from override_layer(text).values


def compared(
    trained: TrainedNetwork, config: RunConfig, against: Sequence[str], refine: Refinement
) -> dict[str, Method]:
    """Methods of the table by name: the network first, then those it is compared with.

    `against` names methods and other rows of the network; `refine` = `measurement` adds the network
    refined on the measurements.
    """
    expect_fitting(trained.config, config)
    own = network_methods(trained.predictor)
    names = [NETWORK, *([f"{NETWORK}+measurement"] if refine == "measurement" else ())]
    for name in against:
        if name in names:
            raise ConfigInvalid(f"--against names {name}, which is in the table already")
        names.append(name)
    others = [name for name in names if name not in own]
    known = chosen_methods(others, config) if others else {}
    return {name: own[name] if name in own else known[name] for name in names}


def expect_fitting(made_for: RunConfig, scenes: RunConfig) -> None:
    """Check that a network fits the scenes: its panel, and no more sources than it has slots."""
    ours, theirs = made_for.flat(), scenes.flat()
    alike = [path for path in HELD if path.startswith("physics.")]
    if _columns(made_for, scenes) != _columns(made_for, made_for):
        alike.append("physics.snapshots")
    for path in alike:
        if ours[path] != theirs[path]:
            raise ConfigInvalid(
                f"the network was made for {path} = {ours[path]}, and the scenes have "
                f"{theirs[path]}: leave {path} alone, or evaluate another run"
            )
    if made_for.data.sources_max != scenes.data.sources_max:
        raise ConfigInvalid(
            f"the network counts to {made_for.data.sources_max}, and data.sources_max = "
            f"{scenes.data.sources_max}"
        )


def _columns(made_for: RunConfig, scenes: RunConfig) -> int:
    """Columns of the samples that the shape of a network depends on.

    An aperture front end reads all of them, an image front end only whether there are several.
    """
    symbols = made_for.physics.symbols
    front = made_for.network.front_for(symbols)
    if front == "pursuit" or made_for.sampled.method_for(symbols) == "joint":
        return 1
    snapshots = scenes.physics.snapshots
    return snapshots if front == "aperture" else min(snapshots, 2)
