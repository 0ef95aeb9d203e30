"""A trained network in the table of all methods, on the same scenes."""

from collections.abc import Sequence

from risexp.app.accuracy import chosen_methods
from risexp.app.methods import Method
from risexp.app.network_methods import NETWORK, network_methods
from risexp.app.trained import Trained
from risexp.config.run import RunConfig
from risexp.config.training import Refinement
from risexp.errors import ConfigInvalid


def compared(
    trained: Trained, config: RunConfig, against: Sequence[str], refine: Refinement
) -> dict[str, Method]:
    """The rows of the table: the network first, then whom it is compared with.

    Args:
        trained: The network.
        config: The law of the scenes, which classical methods know.
        against: Names of methods; those of the network's own other ways too.
        refine: Whether the network is also shown moved on to the measurements.

    Raises:
        ConfigInvalid: A name is unknown or given twice, or the scenes do not fit the network.
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
    """Check that a network can look at scenes: its panel, and no more sources than it has slots.

    Raises:
        ConfigInvalid: It cannot.
    """
    for name in ("elements_h", "elements_v", "symbols"):
        ours, theirs = getattr(made_for.physics, name), getattr(scenes.physics, name)
        if ours != theirs:
            raise ConfigInvalid(
                f"the network was made for physics.{name} = {ours}, and the scenes have {theirs}"
            )
    if made_for.data.sources_max != scenes.data.sources_max:
        raise ConfigInvalid(
            f"the network counts to {made_for.data.sources_max}, and data.sources_max = "
            f"{scenes.data.sources_max}"
        )
