"""Localisers by the names that a table gives them, and a trained network in each of its uses."""

from collections.abc import Callable
from functools import partial
from typing import Final

import torch

from risexp.config.run import RunConfig
from risexp.config.section import nearest
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import Criterion
from risexp.covariance.sampled import Method as SampledMethod
from risexp.data.frames import Scenes
from risexp.data.scenes import source_steering
from risexp.errors import ConfigInvalid
from risexp.estimation.count_rule import CountRule
from risexp.estimation.receiver_model import ReceiverModel, snr_db_of
from risexp.inference.classical import Classical
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from risexp.inference.predictor import Predictor
from risexp.inference.spectral import Spectral, Spectrum

Method = Callable[[Scenes], Estimate]
"""Answers scenes. Only `oracle` and names that end in `true-k` look beyond the frames."""

NETWORK: Final = "network"
"""The row of a network as it was validated."""


def method_named(name: str, config: RunConfig) -> Method:
    """Build one method for the scenes of a configuration."""
    if name not in METHODS:
        hint = nearest(name, METHODS) or f"; there are {', '.join(METHODS)}"
        raise ConfigInvalid(f"there is no method {name!r}{hint}")
    return METHODS[name](config)


def _nomp(rule: CountRule) -> Callable[[RunConfig], Method]:
    def build(config: RunConfig) -> Method:
        localise = Nomp(ReceiverModel.of(config), rule)
        return lambda scenes: localise(scenes.frames)

    return build


def _counting(spectrum: Spectrum, criterion: Criterion) -> Callable[[RunConfig], Method]:
    """A spectrum of the configured samples; the count by a criterion."""

    def build(config: RunConfig) -> Method:
        localise = _classical(config, spectrum, criterion, None)
        return lambda scenes: localise(scenes.frames)

    return build


def _per_snapshot(criterion: Criterion) -> Callable[[RunConfig], Method]:
    """Count and MUSIC on the same covariance, the only one whose eigenvalues can be counted."""

    def build(config: RunConfig) -> Method:
        localise = _classical(config, "music", criterion, "per_snapshot")
        return lambda scenes: localise(scenes.frames)

    return build


def _with_true_count(spectrum: Spectrum) -> Callable[[RunConfig], Method]:
    """A spectrum of the configured samples, with the true count and nothing else of the truth."""

    def build(config: RunConfig) -> Method:
        localise = _classical(config, spectrum, "mdl", None)
        return lambda scenes: localise.locate(scenes.frames, scenes.truth.count)

    return build


def _oracle(config: RunConfig) -> Method:
    """MUSIC on the label's effective covariance with the true count: the ceiling of a network."""
    receiver = ReceiverModel.of(config)
    spectral = Spectral(receiver)

    def localise(scenes: Scenes) -> Estimate:
        steering = source_steering(receiver.panel, scenes.truth)
        label = FactoredCovariance.from_sources(steering, scenes.truth.powers)
        snr_db = snr_db_of(scenes.frames, receiver.symbols)
        seen = effective(label, snr_db, alpha_base=config.covariance.alpha_base)
        return spectral.locate(seen, scenes.truth.count)

    return localise


def _classical(
    config: RunConfig, spectrum: Spectrum, criterion: Criterion, method: SampledMethod | None
) -> Classical:
    return Classical(
        spectral=Spectral(ReceiverModel.of(config), spectrum),
        method=method or config.sampled.method_for(config.physics.symbols),
        ridge=config.sampled.ridge,
        alpha_base=config.covariance.alpha_base,
        criterion=criterion,
    )


METHODS: Final[dict[str, Callable[[RunConfig], Method]]] = {
    "nomp": _nomp("evidence"),
    "nomp:bic": _nomp("bic"),
    "nomp:aic": _nomp("aic"),
    "music": _counting("music", "mdl"),
    "music:true-k": _with_true_count("music"),
    "mvdr": _counting("mvdr", "mdl"),
    "mvdr:true-k": _with_true_count("mvdr"),
    "mdl": _per_snapshot("mdl"),
    "aic": _per_snapshot("aic"),
    "oracle": _oracle,
}


def network_methods(predictor: Predictor) -> dict[str, Method]:
    """Every way to use a network, by the name of its row.

    `network` is what was validated; `network+measurement` starts from its pointers and fits the
    measurements; in `network+bic` a criterion counts where the head is unsure; `network:true-k` is
    given the count, and shows what the learned covariance is worth.
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
        f"{NETWORK}:true-k": lambda scenes: _network_with_true_count(predictor, scenes),
    }


def on_device(method: Method, device: torch.device) -> Method:
    """A method that answers on a device, and returns its answer on that of the scenes."""
    return lambda scenes: method(scenes.to(device)).to(scenes.frames.y.device)


def _answered(predictor: Predictor, scenes: Scenes) -> Estimate:
    """The answer, computed on the network's device and returned on that of the scenes."""
    frames = scenes.frames
    return predictor(frames.to(predictor.device)).to(frames.y.device)


def _network_with_true_count(predictor: Predictor, scenes: Scenes) -> Estimate:
    """MUSIC on the learned covariance with the true count and nothing else of the truth."""
    here = scenes.to(predictor.device)
    seen = predictor.predict(here.frames).effective
    estimate = Spectral(predictor.localise.receiver).locate(seen, here.truth.count)
    return estimate.to(scenes.frames.y.device)
