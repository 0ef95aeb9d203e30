"""A trained network as rows of a table: alone, moved on to the measurements, and told the count."""

from typing import Final

from risexp.app.methods import Method
from risexp.data.frames import Scenes
from risexp.inference.estimate import Estimate
from risexp.inference.predictor import Predictor
from risexp.inference.spectral import Spectral

NETWORK: Final = "network"
"""The row that was validated."""


def network_methods(predictor: Predictor) -> dict[str, Method]:
    """Every way to use a network, by the name a table gives it.

    `network` is what was validated; `network+measurement` starts from its pointers and fits the
    measurements; in `network+bic` a criterion counts where the head is unsure; `network:true-k` is
    told the count, and shows what the learned covariance is worth.
    """
    pointed = predictor.changed(spectrum="pointers")
    refined = predictor.changed(spectrum="pointers", refine="measurement")
    unsure = predictor.changed(fallback="bic")
    return {
        NETWORK: lambda scenes: predictor(scenes.frames),
        f"{NETWORK}:pointers": lambda scenes: pointed(scenes.frames),
        f"{NETWORK}+measurement": lambda scenes: refined(scenes.frames),
        f"{NETWORK}+bic": lambda scenes: unsure(scenes.frames),
        f"{NETWORK}:true-k": lambda scenes: _told(predictor, scenes),
    }


def _told(predictor: Predictor, scenes: Scenes) -> Estimate:
    """MUSIC on the learned covariance with the true count and nothing else of the truth."""
    seen = predictor.predict(scenes.frames).effective
    return Spectral(predictor.localise.setting).locate(seen, scenes.truth.count)
