"""The network: a front, a factor head and a count head."""

from dataclasses import replace
from typing import Final

import torch
from torch import nn

from risexp.config.run import RunConfig
from risexp.config.training import Part
from risexp.covariance.effective import effective
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.aperture_front import ApertureFront
from risexp.model.blocks import Features, perceptron
from risexp.model.count_head import CountHead
from risexp.model.factors import FactorHead
from risexp.model.image_front import ImageFront
from risexp.model.observation import Observation
from risexp.model.prediction import CountLaw, Prediction, predicted
from risexp.model.pursuit_front import PursuitFront

AnyFront = PursuitFront | ImageFront | ApertureFront
_BACKBONE: Final = "front."


class Network(nn.Module):
    """From observations to predictions; the front is the backbone, everything else is heads."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        receiver, width = ReceiverModel.of(config), config.network.width
        most, count = config.data.sources_max, config.count
        self.law = CountLaw(count.kind, most, count.threshold, count.decision)
        self.lambda_range = config.factors.lambda_range
        self.alpha_base = config.covariance.alpha_base
        self.precision = config.training.precision
        self.front = _front(config, receiver)
        self.factors = FactorHead(receiver, config.factors.kind, width, self.front.reach)
        name = config.network.front_for(config.physics.symbols)
        self.found = perceptron(width, width, most)
        self.count = CountHead(config.count, self.law, width, name)
        if config.training.compile:
            self.front.trunk.compile()

    def forward(self, observation: Observation, beta: float) -> Prediction:
        """Predict B scenes, with a share `beta` of the samples blended into the covariance."""
        features = self._features(observation)
        factors = self.factors(features)
        seen = effective(
            predicted(factors.angle, factors.range, self.lambda_range),
            observation.snr_db,
            observation.sampled if beta > 0.0 else None,
            beta,
            alpha_base=self.alpha_base,
        )
        logits = self.count(observation, features.context, factors.pointers.existence, seen)
        return Prediction(
            angle_factor=factors.angle,
            range_factor=factors.range,
            lambda_range=self.lambda_range,
            effective=seen,
            count_logits=logits,
            count_law=self.law,
            found_logits=self.found(features.context),
            pointers=factors.pointers,
            heat=features.heat,
        )

    def set_temperature(self, temperature: float) -> None:
        """Set the temperature of the count law."""
        self.law = replace(self.law, temperature=temperature)

    def _features(self, observation: Observation) -> Features:
        """The front's output in single precision; the front itself may run in half precision."""
        if self.precision == "fp32":
            plain: Features = self.front(observation)
            return plain
        with torch.autocast(observation.snr_db.device.type, torch.bfloat16):
            seen: Features = self.front(observation)
        return replace(
            seen,
            context=seen.context.float(),
            slots=seen.slots.float(),
            anchors=seen.anchors.float(),
            log_power=seen.log_power.float(),
            heat=None if seen.heat is None else replace(seen.heat, logits=seen.heat.logits.float()),
        )


def part_of(name: str) -> Part:
    """The part of a network that a parameter belongs to, by its name."""
    return "backbone" if name.startswith(_BACKBONE) else "heads"


def _front(config: RunConfig, receiver: ReceiverModel) -> AnyFront:
    method = config.sampled.method_for(config.physics.symbols)
    columns = 1 if method == "joint" else config.physics.snapshots
    match config.network.front_for(config.physics.symbols):
        case "pursuit":
            return PursuitFront(receiver, config.network)
        case "image":
            return ImageFront(receiver, config.network, columns)
        case "aperture":
            return ApertureFront(receiver, config.network, columns)
