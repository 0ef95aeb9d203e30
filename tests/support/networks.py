"""Small networks for tests, and predictions made of the truth."""

from dataclasses import replace
from functools import cache
from typing import get_args

import torch
from torch import Tensor

from risexp.config.learning import CountKind, CountPath, FactorKind, Front
from risexp.config.run import RunConfig
from risexp.config.training import LocalisationSpectrum
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import panel_of
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.inference.predictor import Localiser
from risexp.loss.prediction_pair import TermSettings
from risexp.loss.self_test import perfect_prediction
from risexp.loss.target import Target
from risexp.model.network import Network
from risexp.model.observation import Observation, Observer
from risexp.model.prediction import CountLaw, Prediction
from tests.support.localisation import config_of, scenes_of

FRONTS: tuple[Front, ...] = get_args(Front)
KINDS: tuple[CountKind, ...] = get_args(CountKind)
PATHS: tuple[CountPath, ...] = get_args(CountPath)
FACTORS: tuple[FactorKind, ...] = get_args(FactorKind)
MAKES = [
    (front, kind) for front in FRONTS for kind in FACTORS if front == "image" or kind != "spectrum"
]
"""Every front with every kind of factors that it can serve."""


@cache
def network_config(*overrides: str, front: Front | None = None) -> RunConfig:
    """A network of a few thousand weights on the small panel."""
    seen = () if front is None else (f"network.front={front}",)
    small = ("network.width=16", "network.depth=1", "network.heads=2")
    return config_of(*small, *seen, *overrides, preset="smoke")


def untrained(config: RunConfig, device: torch.device | str = "cpu", seed: int = 0) -> Network:
    """A fresh network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(config).to(device)


def awake(config: RunConfig, device: torch.device | str = "cpu", seed: int = 0) -> Network:
    """A network with noise on every weight, so that layers of zeros have an effect."""
    network = untrained(config, "cpu", seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return network.to(device)


def observed(config: RunConfig, count: int = 4, device: torch.device | str = "cpu") -> Observation:
    """The observation of the first scenes of a configuration."""
    return Observer.of(config)(scenes_of(config, count, device).frames)


@torch.no_grad()
def answer(config: RunConfig, frames: Frames, beta: float = 0.0, seed: int = 0) -> Prediction:
    """The prediction of an awake network."""
    said: Prediction = awake(config, frames.y.device, seed)(Observer.of(config)(frames), beta)
    return said


def outputs(prediction: Prediction) -> dict[str, Tensor]:
    """Every tensor of a prediction, by name."""
    found = {
        "angle": prediction.angle_factor,
        "range": prediction.range_factor,
        "factor": prediction.effective.factor,
        "diagonal": prediction.effective.diagonal,
        "logits": prediction.count_logits,
        "found": prediction.found_logits,
        **vars(prediction.pointers),
    }
    return found if prediction.heat is None else found | {"heat": prediction.heat.logits}


def total(prediction: Prediction) -> Tensor:
    """The sum of all logits, the covariance and the pointers."""
    logits = [prediction.count_logits, prediction.found_logits]
    factor = torch.view_as_real(prediction.effective.factor)
    parts = [*logits, factor, *vars(prediction.pointers).values()]
    return torch.stack([part.sum() for part in parts]).sum()


def without_gradient(network: Network, rounding: float = 1e-6) -> set[str]:
    """Parameters without a gradient, or with no more than rounding."""
    gradients = {name: weight.grad for name, weight in network.named_parameters()}
    sizes = {
        name: 0.0 if each is None else float(each.abs().max()) for name, each in gradients.items()
    }
    return {name for name, size in sizes.items() if size <= rounding * max(sizes.values())}


def sound_gradients(network: Network) -> bool:
    """Whether every gradient is finite."""
    found = [weight.grad for weight in network.parameters() if weight.grad is not None]
    return len(found) > 0 and all(bool(gradient.isfinite().all()) for gradient in found)


def finite(prediction: Prediction) -> bool:
    """Whether every value of a prediction is finite."""
    return all(bool(value.isfinite().all()) for value in outputs(prediction).values())


def truthful(config: RunConfig, scenes: Scenes, kind: CountKind = "ordinal") -> Prediction:
    """The prediction that equals the truth; slots without a source point a metre away."""
    snr_db, alpha_base = scenes.frames.snr_db, config.covariance.alpha_base
    assert snr_db is not None
    target = Target.of(panel_of(config.physics), scenes.truth, snr_db, alpha_base)
    target = replace(target, rho=target.rho.where(target.present, 1.0))
    law = CountLaw(kind, target.sources_max)
    return perfect_prediction(target, TermSettings.of(config), law, lambda_range=0.1)


def saying(prediction: Prediction, logits: Tensor) -> Prediction:
    """The same prediction with other count logits."""
    return replace(prediction, count_logits=logits)


def localised(
    config: RunConfig,
    prediction: Prediction,
    frames: Frames,
    spectrum: LocalisationSpectrum = "pointers",
) -> Estimate:
    """The estimate from a prediction."""
    return Localiser(ReceiverModel.of(config), spectrum)(prediction, frames)
