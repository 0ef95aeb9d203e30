"""The objective of a run: the loss of a network's predictions for scenes."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import Module

from risexp.config.learning import LabelPower
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of
from risexp.errors import TrainingAborted
from risexp.loss.prediction_pair import PredictionPair, TermSettings
from risexp.loss.self_test import blend_fault
from risexp.loss.target import Target
from risexp.loss.weighting import Balance, Loss, balance_of, weighted_loss
from risexp.model.observation import Observation, Observer
from risexp.model.prediction import Prediction
from risexp.physics.geometry import Panel
from risexp.training.curriculum import curriculum
from risexp.training.plan import Plan


@dataclass(frozen=True)
class Objective:
    """The loss of a network on scenes, under the plan of an epoch."""

    observe: Observer
    panel: Panel
    settings: TermSettings
    alpha_base: float
    """Slope of the regularisation over noise amplitude."""
    label_power: LabelPower
    balance: Balance
    """Weighs the terms against each other; it may learn."""

    @classmethod
    def of(cls, config: RunConfig, device: torch.device | str = "cpu") -> Self:
        """The objective of a configuration."""
        weighed = {name: None for plan in curriculum(config) for name in plan.active}
        return cls(
            Observer.of(config),
            panel_of(config.physics),
            TermSettings.of(config),
            config.covariance.alpha_base,
            config.loss.label_power,
            balance_of(config.loss, weighed).to(device),
        )

    def __call__(self, network: Module, scenes: Scenes, plan: Plan) -> Loss:
        """The loss of a network on scenes, under an epoch's plan.

        Raises:
            TrainingAborted: The prediction has no gradient to learn from.
        """
        observation = self.observe(scenes.frames)
        prediction: Prediction = network(observation, plan.beta)
        fault = blend_fault(prediction.effective) if torch.is_grad_enabled() else None
        if fault is not None:
            raise TrainingAborted(f"epoch {plan.epoch}: {fault}", guard="blend")
        return self.mark(prediction, observation, scenes, plan)

    def mark(
        self, prediction: Prediction, observation: Observation, scenes: Scenes, plan: Plan
    ) -> Loss:
        """The loss of a prediction."""
        pair = PredictionPair(prediction, self.target(observation, scenes), self.settings)
        return weighted_loss(pair, plan.weights, self.balance)

    def target(self, observation: Observation, scenes: Scenes) -> Target:
        """The labels of scenes, at the SNR of their observation."""
        return Target.of(
            self.panel, scenes.truth, observation.snr_db, self.alpha_base, self.label_power
        )


@dataclass(frozen=True)
class ValidationLoss:
    """The criterion of a validation: the total loss under one epoch's plan."""

    objective: Objective
    plan: Plan

    def __call__(self, prediction: Prediction, observation: Observation, scenes: Scenes) -> Tensor:
        """The loss of a prediction, a scalar."""
        return self.objective.mark(prediction, observation, scenes, self.plan).total
