"""How an epoch is judged: the network's own counts and real localisation on scenes kept apart."""

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
from risexp.evaluation.groups import by_snr
from risexp.evaluation.scene_scores import Confusion, Confusions, SceneScores, join, score_scenes
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
    """Scenes with what a network is given of them, computed once."""

    observation: Observation
    scenes: Scenes


@dataclass(frozen=True)
class Validator:
    """Scores networks on the same scenes, again and again."""

    groups: Sequence[Group]
    localise: Localiser
    yardsticks: Yardsticks
    alpha_base: float
    """Slope of the regularisation over noise amplitude."""
    tell: Callable[[Confusions], None] = lambda _: None
    """Told of each validation which counts were taken for which."""

    @classmethod
    def of(cls, config: RunConfig, scenes: Scenes) -> Self:
        """Observe scenes and measure what they allow."""
        observe, base = Observer.of(config), config.covariance.alpha_base
        parts = [scenes[start : start + _SCENES] for start in range(0, len(scenes), _SCENES)]
        groups = [Group(observe(part.frames), part) for part in parts]
        # A fallback would let a dead network score the criterion's count.
        localise = replace(Localiser.of(config), fallback="none")
        return cls(groups, localise, Yardsticks.of(config, scenes), base)

    @torch.no_grad()
    def __call__(self, network: Module, beta: float, criterion: Criterion) -> dict[str, float]:
        """Every score by name; the network answers in evaluation mode.

        Args:
            network: Answers an observation and a beta with a prediction.
            beta: Share of the samples, as it is in training.
            criterion: The loss in training.
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
            score_scenes(self.localise(guess, group.scenes.frames), group.scenes.truth)
            for guess, group in answers
        ]
        sizes = [len(group.scenes) for group in self.groups]
        total = sum(sizes)
        losses = [criterion(guess, group.observation, group.scenes) for guess, group in answers]
        whole = join(scored)
        self.tell(Confusions(whole.confusion, self._by_snr(whole)))
        found = dict(summarise(whole).items())
        found["loss"] = math.fsum(
            float(loss) * size / total for loss, size in zip(losses, sizes, strict=True)
        )
        found |= counting(answers) | vars(self.yardsticks) | {"scenes": float(total)}
        if beta > 0.0:
            found["blend_effect"] = blend_effect(answers, self.alpha_base)
        return found

    def _by_snr(self, whole: SceneScores) -> dict[str, Confusion]:
        """Of each bin; none where somebody's scenes have no SNR."""
        levels = [group.scenes.frames.snr_db for group in self.groups]
        known = [each for each in levels if each is not None]
        if len(known) < len(levels):
            return {}
        return {name: each.confusion for name, each in by_snr(whole, torch.cat(known)).items()}


def counting(answers: Sequence[tuple[Prediction, Group]]) -> dict[str, float]:
    """How likely the true counts were, and how varied the answers are, in nats."""
    said = torch.cat([guess.count_probabilities for guess, _ in answers])
    truth = torch.cat([group.scenes.truth.count for _, group in answers])
    likely = said.gather(-1, (truth - 1).unsqueeze(-1)).log()
    answered = torch.cat([guess.count for guess, _ in answers])
    shares = torch.bincount(answered - 1, minlength=said.shape[1]).double() / len(answered)
    return {
        "count_nll": -float(likely.mean()),
        "count_entropy": float(torch.special.entr(shares).sum()),
    }


def blend_effect(answers: Sequence[tuple[Prediction, Group]], alpha_base: float) -> float:
    """RMS distance of the blended covariances from what the network said alone, over N."""
    moved = []
    for guess, group in answers:
        alone = effective(guess.predicted, group.observation.snr_db, alpha_base=alpha_base)
        moved.append(guess.effective.squared_distance(alone))
    return float(torch.cat(moved).mean().sqrt()) / answers[0][0].effective.elements
