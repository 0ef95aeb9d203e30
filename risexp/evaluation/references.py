"""References for the scores: how many of the scored scenes can be counted and located at all.

`k_reference` and `success_reference` are what a plain rule reaches at the true positions and can
be passed; `k_bound` cannot, in the mean.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.config.measurement import DataConfig, PhysicsConfig
from risexp.core.batch import TensorBatch
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of
from risexp.evaluation.candidates import candidates, measured, responses
from risexp.evaluation.count_references import count_evidence, detectable
from risexp.evaluation.success_bound import (
    BOX,
    STRICT_BOX,
    deviations,
    inside,
    position_bound,
    position_errors,
)
from risexp.physics.signals import path_amplitude

_SCENES = 16
"""Scenes handled at once: what the bound forms of them stays near the cache."""


@dataclass(frozen=True)
class ReferenceMeans:
    """The references of a group of scenes; NaN where the group is empty."""

    k_reference: float
    """Share of scenes all of whose sources are detectable."""
    k_bound: float
    """Share that the Bayes-optimal receiver with candidate positions counts right."""
    success_reference: float
    """Mean of detectable x P(all errors within the tolerance)."""
    success_strict_reference: float
    """The same within the strict tolerance."""
    success_true_count: float
    """Mean of P(all errors within the tolerance), at the true count."""
    success_strict_true_count: float
    """The same within the strict tolerance."""


@dataclass(frozen=True)
class References(TensorBatch):
    """The references of B scenes, one by one."""

    detectable: Tensor
    """(B,) bool: the weakest source passes BIC at the true positions."""
    count_bound: Tensor
    """(B,) bool: the Bayes-optimal count among candidate positions is the true one."""
    success_true_count: Tensor
    """(B,) float64: P(all errors within 5 deg, 5 deg, 1 m) at the Cramer-Rao bound."""
    success_strict_true_count: Tensor
    """(B,) float64: the same within 3 deg, 3 deg, 0.5 m."""
    deviation: Tensor
    """(B, K_MAX, 3) float64: bound on phi (rad), theta (rad), range (m); absent sources NaN."""

    @property
    def success(self) -> Tensor:
        """Probability that the scene is counted and located, (B,) float64."""
        return self.success_true_count * self.detectable

    @property
    def success_strict(self) -> Tensor:
        """The same within the strict tolerance, (B,) float64."""
        return self.success_strict_true_count * self.detectable

    def means(self, chosen: Tensor | None = None) -> ReferenceMeans:
        """Means over all scenes, or over the `chosen` (B,) bool ones."""
        columns = (
            self.detectable,
            self.count_bound,
            self.success,
            self.success_strict,
            self.success_true_count,
            self.success_strict_true_count,
        )
        table = torch.stack([column.double() for column in columns], dim=-1)
        return ReferenceMeans(*(table if chosen is None else table[chosen]).mean(0).tolist())


def references(
    physics: PhysicsConfig, data: DataConfig, scenes: Scenes, draws: int = 300
) -> References:
    """Compute the references of scenes drawn from this configuration.

    A scene's references do not depend on the other scenes.

    `draws` errors are drawn for a scene's probability of success.
    """
    return References.join([_few(physics, data, part, draws) for part in scenes.split(_SCENES)])


def _few(physics: PhysicsConfig, data: DataConfig, scenes: Scenes, draws: int) -> References:
    frames, truth, panel = scenes.frames, scenes.truth, panel_of(physics)
    where = candidates(data, truth)
    response = responses(physics.symbols, panel, frames, where)
    powers = path_amplitude(physics.power, where[2], physics.wavelength_m).square()
    seen = measured(physics.symbols, frames)
    counted = count_evidence(response, seen, powers, truth.noise_power).argmax(-1) + 1
    bound = position_bound(physics.symbols, panel, frames, truth)
    errors = position_errors(bound, truth, data, draws)
    return References(
        detectable=detectable(physics.symbols, response, truth),
        count_bound=counted == truth.count,
        success_true_count=inside(errors, BOX),
        success_strict_true_count=inside(errors, STRICT_BOX),
        deviation=deviations(bound),
    )
