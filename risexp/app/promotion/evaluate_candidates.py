"""A candidate, the champion and the classical localiser before the same frozen scenes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from risexp.app.benchmark.methods import NETWORK, Method, method_named, network_methods
from risexp.app.promotion.test_set import TestSet
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes, Truth
from risexp.evaluation.scene_scores import join, score_scenes
from risexp.inference.calibration import calibration_error
from risexp.inference.estimate import Estimate
from risexp.inference.predictor import Predictor
from risexp.registry.evidence import ScoredAnswers

_CANDIDATE, _CHAMPION, _NOMP = "candidate", "champion", "nomp"
_WARMING = 4
"""Scenes that each is shown first: a first call also makes what the later ones share."""


@dataclass(frozen=True)
class Evaluation:
    """What each of them answered."""

    candidate: ScoredAnswers
    champion: ScoredAnswers | None
    nomp: ScoredAnswers
    snr_db: Tensor | None
    """(B,) of the scenes."""
    ms_ratio: float | None
    """Candidate's time over the champion's: the median over batches, answered in turn."""


def evaluate_candidates(
    config: RunConfig,
    candidate: Predictor,
    champion: Predictor | None,
    sealed: TestSet,
    advance: Callable[[int], None],
) -> Evaluation:
    """Let them answer all scenes of a set, batch by batch, in an order that changes.

    Args:
        config: The law of the scenes, which the classical localiser knows.
        candidate: A network, judged by its own count: without a fallback.
        champion: Another one, likewise.
        sealed: The set.
        advance: Told of scenes, once for each that answers.
    """
    methods = {_CANDIDATE: network_methods(candidate)[NETWORK]}
    if champion is not None:
        methods[_CHAMPION] = network_methods(champion)[NETWORK]
    methods[_NOMP] = method_named(_NOMP, config)
    told = {name: _Told() for name in methods}
    for place, scenes in enumerate(sealed.batches()):
        if place == 0:
            for method in methods.values():
                method(scenes[:_WARMING])
        for name in _in_turn(methods, place):
            told[name] = told[name].and_of(methods[name], scenes)
            advance(len(scenes))
    levels = [scenes.frames.snr_db for scenes in sealed.batches()]
    known = [each for each in levels if each is not None]
    return Evaluation(
        candidate=told[_CANDIDATE].answered(),
        champion=told[_CHAMPION].answered() if _CHAMPION in told else None,
        nomp=told[_NOMP].answered(),
        snr_db=torch.cat(known) if len(known) == len(levels) else None,
        ms_ratio=_ratio(told[_CANDIDATE], told[_CHAMPION]) if _CHAMPION in told else None,
    )


@dataclass(frozen=True)
class _Told:
    """What one of them has answered so far."""

    estimates: tuple[Estimate, ...] = ()
    truths: tuple[Truth, ...] = ()
    seconds: tuple[float, ...] = ()

    def and_of(self, method: Method, scenes: Scenes) -> "_Told":
        started = perf_counter()
        estimate = method(scenes)
        took = perf_counter() - started
        return _Told(
            (*self.estimates, estimate), (*self.truths, scenes.truth), (*self.seconds, took)
        )

    def answered(self) -> ScoredAnswers:
        pairs = zip(self.estimates, self.truths, strict=True)
        scores = join([score_scenes(estimate, truth) for estimate, truth in pairs])
        said = torch.cat([estimate.count_probabilities for estimate in self.estimates])
        ece = calibration_error(said, scores.matching.true_count)
        return ScoredAnswers(scores, 1e3 * sum(self.seconds) / len(scores), ece)


def _in_turn(methods: Mapping[str, Method], place: int) -> list[str]:
    """Now the one, now the other first: what slows the machine slows both."""
    names = list(methods)
    return names if place % 2 == 0 else [*names[::-1]]


def _ratio(candidate: _Told, champion: _Told) -> float:
    return median(
        mine / max(other, 1e-9)
        for mine, other in zip(candidate.seconds, champion.seconds, strict=True)
    )
