"""Lets candidate, champion and NOMP answer the same frozen scenes, and scores and times them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from time import perf_counter
from typing import Final

import torch
from torch import Tensor

from risexp.app.benchmark.methods import NETWORK, Method, method_named, network_methods
from risexp.app.promotion.kept_answers import KeptAnswers
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
_TIMED: Final = 6
"""Batches that a network answers beside another one though its answers are kept: for the clock."""


def evaluate_candidates(
    config: RunConfig,
    candidate: Predictor,
    champion: Predictor | None,
    test_set: TestSet,
    advance: Callable[[int], None],
    kept: Mapping[str, KeptAnswers] | None = None,
) -> Evaluation:
    """Let all methods answer each batch of a test set; the order of methods alternates.

    `kept` names the files of the answers of `candidate`, `champion` and `nomp`: what lies there is
    read, and new answers are kept there.
    """
    files = kept or {}
    timed = 0 if champion is None else _TIMED
    ours = network_methods(candidate)[NETWORK]
    answers = {"candidate": _Answers(ours, files.get("candidate"), timed)}
    if champion is not None:
        theirs = network_methods(champion)[NETWORK]
        answers["champion"] = _Answers(theirs, files.get("champion"), timed)
    answers["nomp"] = _Answers(method_named("nomp", config), files.get("nomp"))
    order, levels = list(answers.values()), list[Tensor | None]()
    for batch, scenes in enumerate(test_set.batches()):
        # What slows the machine for a while slows both networks.
        for answer in order if batch % 2 == 0 else reversed(order):
            answer.add(batch, scenes)
            advance(len(scenes))
        levels.append(scenes.frames.snr_db)
    for answer in order:
        answer.keep()
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
    file: KeptAnswers | None = None
    timed: int = 0
    """Batches that it answers in any case."""
    estimates: list[Estimate] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    seconds: dict[int, float] = field(default_factory=dict)
    """By batch."""

    @cached_property
    def known(self) -> tuple[Estimate, float] | None:
        """Kept answers to all scenes, and milliseconds a scene."""
        return None if self.file is None else self.file.read()

    def add(self, batch: int, scenes: Scenes) -> None:
        self.truths.append(scenes.truth)
        if self.known is not None and batch >= self.timed:
            return
        if batch == 0:
            self.method(scenes[:_WARMUP])
        started = perf_counter()
        estimate = self.method(scenes)
        self.seconds[batch] = perf_counter() - started
        self.estimates.append(estimate)

    def keep(self) -> None:
        if self.file is not None and self.known is None:
            self.file.write(*self.whole())

    def whole(self) -> tuple[Estimate, float]:
        """The answers to all scenes, and milliseconds a scene."""
        if self.known is not None:
            return self.known
        estimate = Estimate.join(self.estimates)
        return estimate, 1e3 * sum(self.seconds.values()) / len(estimate)

    def scored(self) -> ScoredAnswers:
        estimate, ms = self.whole()
        parts, start = list[SceneScores](), 0
        for truth in self.truths:
            part = estimate[start : start + len(truth)].to(truth.count.device)
            parts.append(score_scenes(part, truth))
            start += len(truth)
        scores = SceneScores.join(parts)
        probabilities = estimate.count_probabilities.to(scores.matching.true_count.device)
        ece = calibration_error(probabilities, scores.matching.true_count)
        return ScoredAnswers(scores, ms, ece)


def _time_ratio(candidate: _Answers, champion: _Answers) -> float:
    both = candidate.seconds.keys() & champion.seconds.keys()
    return median(candidate.seconds[batch] / max(champion.seconds[batch], 1e-9) for batch in both)
