"""Yardsticks for a network's scores: chance, a classical localiser, and references."""

import hashlib
import math
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Self

import torch

from risexp.config.measurement import DataConfig, PhysicsConfig
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes, Truth
from risexp.estimation.receiver_model import ReceiverModel
from risexp.evaluation.references import references
from risexp.evaluation.scene_scores import score_scenes
from risexp.evaluation.scores import summarise
from risexp.inference.nomp import Nomp


@dataclass(frozen=True)
class Yardsticks:
    """Scores of trivial and classical answers to the scored scenes, measured once a process."""

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
        """Measure scenes drawn from a configuration, or reuse the last measurement."""
        key = _Key(config.physics, config.data, _digest(scenes), ReceiverModel.of(config), scenes)
        return cls(**_measured(key))


@dataclass(frozen=True)
class _Key:
    """Inputs of the yardsticks."""

    physics: PhysicsConfig
    data: DataConfig
    digest: bytes
    receiver: ReceiverModel = field(compare=False)
    scenes: Scenes = field(compare=False)


@lru_cache(maxsize=2)
def _measured(key: _Key) -> dict[str, float]:
    """Cached: all trials of a search use the same scenes, which take seconds to measure."""
    frames, truth = key.scenes.frames, key.scenes.truth
    frequent = frequencies(truth)
    allowed = references(key.physics, key.data, key.scenes).means()
    classical = summarise(score_scenes(Nomp(key.receiver)(frames), truth))
    return {
        "k_majority": max(frequent),
        "count_nll_chance": -math.fsum(share * math.log(share) for share in frequent if share > 0),
        "k_reference": allowed.k_reference,
        "success_reference": allowed.success_reference,
        "k_nomp": classical.k_acc,
        "success_nomp": classical.success_rate,
    }


def _digest(scenes: Scenes) -> bytes:
    """Digest of measurements and truth, bit for bit."""
    truth = scenes.truth
    digest = hashlib.sha256()
    for part in (scenes.frames.y, *(getattr(truth, field_.name) for field_ in fields(truth))):
        digest.update(part.cpu().contiguous().numpy().tobytes())
    return digest.digest()


def frequencies(truth: Truth) -> list[float]:
    """How often each count from 1 to K_MAX occurs."""
    counted = torch.bincount(truth.count - 1, minlength=truth.phi_rad.shape[1])
    shares: list[float] = (counted.double() / len(truth)).tolist()
    return shares
