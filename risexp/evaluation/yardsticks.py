"""What a network's scores stand beside: chance, a classical localiser, what the data allow."""

import math
from dataclasses import dataclass
from typing import Self

import torch

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes, Truth
from risexp.estimation.setting import Setting
from risexp.evaluation.references import references
from risexp.evaluation.scene_scores import score_scenes
from risexp.evaluation.scores import summarise
from risexp.inference.nomp import Nomp


@dataclass(frozen=True)
class Yardsticks:
    """Measured once, on the very scenes that are scored."""

    k_majority: float
    """K accuracy of always answering the commonest count."""
    count_nll_chance: float
    """Negative log likelihood of knowing the frequencies of the counts and nothing else."""
    k_reference: float
    """Share of scenes all of whose sources are detectable."""
    success_reference: float
    """Mean of detectable times the probability of small errors."""
    k_nomp: float
    """K accuracy of the classical localiser."""
    success_nomp: float
    """Success of the classical localiser."""

    @classmethod
    def of(cls, config: RunConfig, scenes: Scenes) -> Self:
        """Measure scenes drawn from a configuration."""
        frequent = frequencies(scenes.truth)
        allowed = references(config.physics, config.data, scenes).means()
        classical = summarise(score_scenes(Nomp(Setting.of(config))(scenes.frames), scenes.truth))
        return cls(
            k_majority=max(frequent),
            count_nll_chance=-math.fsum(share * math.log(share) for share in frequent if share > 0),
            k_reference=allowed.k_reference,
            success_reference=allowed.success_reference,
            k_nomp=classical.k_acc,
            success_nomp=classical.success_rate,
        )


def frequencies(truth: Truth) -> list[float]:
    """How often each count from 1 to K_MAX occurs."""
    counted = torch.bincount(truth.count - 1, minlength=truth.phi_rad.shape[1])
    shares: list[float] = (counted.double() / len(truth)).tolist()
    return shares
