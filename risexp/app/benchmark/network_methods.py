"""A trained network as rows of a table: alone, moved on to the measurements, and told the count."""

from functools import partial
from typing import Final

from risexp.app.benchmark.methods import Method
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
    alone = predictor.changed(fallback="none")
    pointed = alone.changed(spectrum="pointers", refine="none")
    refined = alone.changed(spectrum="pointers", refine="measurement")
    unsure = predictor.changed(fallback="bic")
    return {
        NETWORK: partial(_answered, alone),
        f"{NETWORK}:pointers": partial(_answered, pointed),
        f"{NETWORK}+measurement": partial(_answered, refined),
        f"{NETWORK}+bic": partial(_answered, unsure),
        f"{NETWORK}:true-k": lambda scenes: _told(predictor, scenes),
    }


def _answered(predictor: Predictor, scenes: Scenes) -> Estimate:
    """The answer, computed where the network is and brought back to the scenes."""
    frames = scenes.frames
    return predictor(frames.to(predictor.device)).to(frames.y.device)


def _told(predictor: Predictor, scenes: Scenes) -> Estimate:
    """MUSIC on the learned covariance with the true count and nothing else of the truth."""
    here = scenes.to(predictor.device)
    seen = predictor.predict(here.frames).effective
    found = Spectral(predictor.localise.setting).locate(seen, here.truth.count)
    return found.to(scenes.frames.y.device)
