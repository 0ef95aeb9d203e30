"""Validation of an epoch: the network counts and localises the sources of held-out scenes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import Module

from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.data.frames import Scenes
from risexp.evaluation.scene_scores import Confusion, Confusions, SceneScores, by_snr, score_scenes
from risexp.evaluation.scores import summarise
from risexp.evaluation.yardsticks import Yardsticks
from risexp.inference.predictor import Localiser
from risexp.model.observation import Observation, Observer
from risexp.model.prediction import Prediction

_SCENES = 512
"""Scenes answered at once."""

Criterion = Callable[[Prediction, Observation, Scenes], Tensor]
"""The loss of a prediction of scenes, a scalar."""


@dataclass(frozen=True)
class Group:
    """Scenes and the network's input of them, computed once."""

    observation: Observation
    scenes: Scenes


@dataclass(frozen=True)
class Validator:
    """Scores networks on the same scenes, epoch after epoch."""

    groups: Sequence[Group]
    localise: Localiser
    yardsticks: Yardsticks
    alpha_base: float
    """Slope of the regularisation over noise amplitude."""
    tell: Callable[[Confusions], None] = lambda _: None
    """Called with the confusion matrices of a validation."""

    @classmethod
    def of(cls, config: RunConfig, scenes: Scenes) -> Self:
        """Observe scenes and measure what they allow."""
        observe, base = Observer.of(config), config.covariance.alpha_base
        groups = [Group(observe(part.frames), part) for part in scenes.split(_SCENES)]
        # A fallback would let a dead network score the criterion's count.
        localise = replace(Localiser.of(config), fallback="none")
        return cls(groups, localise, Yardsticks.of(config, scenes), base)

    @torch.no_grad()
    def __call__(self, network: Module, beta: float, criterion: Criterion) -> dict[str, float]:
        """Every score by name; the network answers in evaluation mode.

        `beta` and `criterion` are those of the training.
        """
        training = network.training
        network.eval()
        try:
            return self._scores(network, beta, criterion)
        finally:
            network.train(training)

    def _scores(self, network: Module, beta: float, criterion: Criterion) -> dict[str, float]:
        answers = [(network(group.observation, beta), group) for group in self.groups]
        scored = [
            score_scenes(self.localise(prediction, group.scenes.frames), group.scenes.truth)
            for prediction, group in answers
        ]
        sizes = [len(group.scenes) for group in self.groups]
        total = sum(sizes)
        losses = [
            criterion(prediction, group.observation, group.scenes) for prediction, group in answers
        ]
        whole = SceneScores.join(scored)
        self.tell(Confusions(whole.confusion, self._by_snr(whole)))
        scores = dict(summarise(whole).items())
        scores["loss"] = math.fsum(
            float(loss) * size / total for loss, size in zip(losses, sizes, strict=True)
        )
        scores |= counting(answers) | vars(self.yardsticks) | {"scenes": float(total)}
        if beta > 0.0:
            scores["blend_effect"] = blend_effect(answers, self.alpha_base)
        return scores

    def _by_snr(self, whole: SceneScores) -> dict[str, Confusion]:
        """Confusions by bin of SNR; empty if some scenes have no SNR."""
        levels = [group.scenes.frames.snr_db for group in self.groups]
        known = [snr_db for snr_db in levels if snr_db is not None]
        if len(known) < len(levels):
            return {}
        return {name: group.confusion for name, group in by_snr(whole, torch.cat(known)).items()}


def counting(answers: Sequence[tuple[Prediction, Group]]) -> dict[str, float]:
    """Negative log likelihood of the true counts, and entropy of the answers, in nats."""
    probabilities = torch.cat([prediction.count_probabilities for prediction, _ in answers])
    truth = torch.cat([group.scenes.truth.count for _, group in answers])
    likely = probabilities.gather(-1, (truth - 1).unsqueeze(-1)).log()
    answered = torch.cat([prediction.count for prediction, _ in answers])
    shares = torch.bincount(answered - 1, minlength=probabilities.shape[1]).double() / len(answered)
    return {
        "count_nll": -float(likely.mean()),
        "count_entropy": float(torch.special.entr(shares).sum()),
    }


def blend_effect(answers: Sequence[tuple[Prediction, Group]], alpha_base: float) -> float:
    """RMS distance of the blended covariances from the predicted ones, over N."""
    moved = []
    for prediction, group in answers:
        alone = effective(prediction.predicted, group.observation.snr_db, alpha_base=alpha_base)
        moved.append(prediction.effective.squared_distance(alone))
    return float(torch.cat(moved).mean().sqrt()) / answers[0][0].effective.elements
