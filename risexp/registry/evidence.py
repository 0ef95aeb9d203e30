"""What is known of a candidate when it is judged: its answers beside others', and its run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from risexp.evaluation.paired import (
    WHOLE,
    Mean,
    Means,
    Slices,
    as_json,
    differences,
    means,
    rates,
)
from risexp.evaluation.scene_scores import SceneScores


@dataclass(frozen=True)
class ScoredAnswers:
    """How one of them answered the test scenes."""

    scores: SceneScores
    ms_per_scene: float
    """In batches."""
    ece: float
    """Expected calibration error of the most probable count."""


@dataclass(frozen=True)
class Evidence:
    """Everything that gates ask about."""

    candidate: ScoredAnswers
    nomp: ScoredAnswers
    champion: ScoredAnswers | None
    """None where there is none, or where it cannot answer these scenes."""
    snr_db: Tensor | None
    """(B,) of the test scenes."""
    ms_ratio: float | None
    """Time a scene over the champion's: the median over batches that both answered in turn."""
    state: str
    """How the candidate's run ended; `complete` is what it should be."""
    faults: Mapping[str, float]
    """What its guards found, by guard."""
    same_data: bool | None
    """Whether the champion was trained on scenes of the same law and seed; None without one."""
    alone: str = "there is no champion yet"
    """Why no champion is beside it."""
    level: float = 0.95
    resamples: int = 2000
    majority: int = field(init=False)
    """The commonest true count."""

    def __post_init__(self) -> None:
        commonest = int(torch.bincount(self._count).argmax())
        object.__setattr__(self, "majority", commonest)

    @property
    def scenes(self) -> int:
        """How many were answered."""
        return len(self.candidate.scores)

    @property
    def varied(self) -> bool:
        """Whether there is anything to count: not all scenes hold as many sources."""
        return bool((self._count != self.majority).any())

    @cached_property
    def slices(self) -> Slices:
        """The whole, and the scenes by SNR and by count."""
        return Slices.of(self._count, self.snr_db)

    @cached_property
    def measured(self) -> Means:
        """Rates of each, and by how much the candidate exceeds the others, under the same draws.

        Columns are `candidate success_rate`, `candidate - champion success_rate` and the like.
        """
        others = {"nomp": self.nomp.scores}
        if self.champion is not None:
            others["champion"] = self.champion.scores
        mine = self.candidate.scores
        columns = {f"candidate {name}": each for name, each in rates(mine).items()}
        guessed = (self._count == self.majority).double()
        columns["majority k_acc"] = guessed
        columns["candidate - majority k_acc"] = mine.hit.double() - guessed
        for other, scores in others.items():
            apart = differences(mine, scores)
            columns |= {f"{other} {name}": each for name, each in rates(scores).items()}
            columns |= {f"candidate - {other} {name}": each for name, each in apart.items()}
        return means(columns, self.slices, resamples=self.resamples, level=self.level)

    def mean(self, column: str, over: str = WHOLE) -> Mean:
        """One of what was measured."""
        return self.measured[column][over]

    def as_json(self) -> dict[str, Any]:
        """The evidence as plain values."""
        beside = {"candidate": self.candidate, "champion": self.champion, "nomp": self.nomp}
        return {
            "scenes": self.scenes,
            "level": self.level,
            "scores": as_json(self.measured),
            "ms_per_scene": {
                name: each.ms_per_scene for name, each in beside.items() if each is not None
            },
            "ms_ratio": self.ms_ratio,
            "ece": {name: each.ece for name, each in beside.items() if each is not None},
            "state": self.state,
            "guards": dict(self.faults),
            "same_data": self.same_data,
        }

    @property
    def _count(self) -> Tensor:
        return self.candidate.scores.matching.true_count
