"""Lets candidate, champion and NOMP answer the same frozen scenes, and scores and times them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Final

import torch
from torch import Tensor

from risexp.app.benchmark.methods import NETWORK, Method, method_named, network_methods
from risexp.app.promotion.test_set import TestSet
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes, Truth
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.inference.calibration import calibration_error
from risexp.inference.estimate import Estimate
from risexp.inference.predictor import Predictor
from risexp.registry.verdicts import Evaluation, ScoredAnswers

_WARMUP: Final = 4
"""Scenes answered before the clock starts: a first call also builds what later calls share."""


def evaluate_candidates(
    config: RunConfig,
    candidate: Predictor,
    champion: Predictor | None,
    test_set: TestSet,
    advance: Callable[[int], None],
) -> Evaluation:
    """Let all methods answer each batch of a test set; the order of methods alternates."""
    answers = {"candidate": _Answers(network_methods(candidate)[NETWORK])}
    if champion is not None:
        answers["champion"] = _Answers(network_methods(champion)[NETWORK])
    answers["nomp"] = _Answers(method_named("nomp", config))
    order, levels = list(answers.values()), list[Tensor | None]()
    for batch, scenes in enumerate(test_set.batches()):
        if batch == 0:
            for answer in order:
                answer.method(scenes[:_WARMUP])
        # What slows the machine for a while slows both networks.
        for answer in order if batch % 2 == 0 else reversed(order):
            answer.add(scenes)
            advance(len(scenes))
        levels.append(scenes.frames.snr_db)
    known = [level for level in levels if level is not None]
    beside = answers.get("champion")
    return Evaluation(
        candidate=answers["candidate"].scored(),
        champion=None if beside is None else beside.scored(),
        nomp=answers["nomp"].scored(),
        snr_db=torch.cat(known) if len(known) == len(levels) else None,
        ms_ratio=None if beside is None else _time_ratio(answers["candidate"], beside),
    )


@dataclass
class _Answers:
    """The answers of one method so far."""

    method: Method
    estimates: list[Estimate] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, scenes: Scenes) -> None:
        started = perf_counter()
        estimate = self.method(scenes)
        self.seconds.append(perf_counter() - started)
        self.estimates.append(estimate)
        self.truths.append(scenes.truth)

    def scored(self) -> ScoredAnswers:
        pairs = zip(self.estimates, self.truths, strict=True)
        scores = SceneScores.join([score_scenes(estimate, truth) for estimate, truth in pairs])
        probabilities = torch.cat([estimate.count_probabilities for estimate in self.estimates])
        ece = calibration_error(probabilities, scores.matching.true_count)
        return ScoredAnswers(scores, 1e3 * sum(self.seconds) / len(scores), ece)


def _time_ratio(candidate: _Answers, champion: _Answers) -> float:
    return median(
        ours / max(theirs, 1e-9)
        for ours, theirs in zip(candidate.seconds, champion.seconds, strict=True)
    )
