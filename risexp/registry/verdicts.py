"""Judges gates by evidence: each passes, fails or is skipped, with the number that decides.

Every comparison is written so that NaN fails it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from risexp.config.gates import Gates
from risexp.evaluation.paired import (
    RATES,
    WHOLE,
    Mean,
    Means,
    Rate,
    Slices,
    as_json,
    differences,
    means,
    rates,
)
from risexp.evaluation.scene_scores import SceneScores

Word = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class ScoredAnswers:
    """How one method answered the test scenes."""

    scores: SceneScores
    ms_per_scene: float
    """Measured in batches."""
    ece: float
    """Expected calibration error of the most probable count."""


@dataclass(frozen=True)
class Evaluation:
    """The scored answers of candidate, champion and NOMP to the test scenes."""

    candidate: ScoredAnswers
    champion: ScoredAnswers | None
    """None if there is no champion, or if it cannot answer these scenes."""
    nomp: ScoredAnswers
    snr_db: Tensor | None
    """(B,) of the scenes."""
    ms_ratio: float | None
    """Candidate's time over the champion's: the median over batches, answered in turn."""

    @property
    def count(self) -> Tensor:
        """(B,) true counts of the scenes."""
        return self.candidate.scores.matching.true_count

    @property
    def answers(self) -> dict[str, ScoredAnswers]:
        """Candidate, champion if there is one, and NOMP."""
        champion = {} if self.champion is None else {"champion": self.champion}
        return {"candidate": self.candidate, **champion, "nomp": self.nomp}


@dataclass(frozen=True)
class Evidence:
    """Everything that gates ask about a candidate."""

    gates: Gates
    evaluation: Evaluation
    state: str
    """How the candidate's run ended; `complete` is what it should be."""
    faults: Mapping[str, float]
    """Faults that its guards counted, by guard."""
    same_data: bool | None
    """True if the champion was trained on scenes of the same law and seed; None without one."""
    no_champion: str = "there is no champion yet"

    @cached_property
    def majority(self) -> int:
        """The most frequent true count."""
        return int(torch.bincount(self.evaluation.count).argmax())

    @property
    def scenes(self) -> int:
        """Number of test scenes."""
        return len(self.evaluation.count)

    @cached_property
    def slices(self) -> Slices:
        """All scenes, and the scenes by SNR and by count."""
        return Slices.of(self.evaluation.count, self.evaluation.snr_db)

    @cached_property
    def measured(self) -> Means:
        """Rates, and by how much the candidate exceeds the others, under the same draws.

        Columns are `candidate success_rate`, `candidate - champion success_rate` and the like.
        """
        scored, own = self.evaluation, self.evaluation.candidate.scores
        others = {"nomp": scored.nomp.scores}
        if scored.champion is not None:
            others["champion"] = scored.champion.scores
        columns = {f"candidate {rate}": column for rate, column in rates(own).items()}
        majority = (scored.count == self.majority).double()
        columns["majority k_acc"] = majority
        columns["candidate - majority k_acc"] = own.hit.double() - majority
        for other, scores in others.items():
            gains = differences(own, scores)
            columns |= {f"{other} {rate}": column for rate, column in rates(scores).items()}
            columns |= {f"candidate - {other} {rate}": column for rate, column in gains.items()}
        gates = self.gates
        return means(columns, self.slices, resamples=gates.resamples, level=gates.level)

    def mean(self, column: str, over: str = WHOLE) -> Mean:
        """The mean of a column over all scenes or over a slice."""
        return self.measured[column][over]

    def as_json(self) -> dict[str, Any]:
        """The evidence as plain values."""
        answers = self.evaluation.answers.items()
        return {
            "scenes": self.scenes,
            "level": self.gates.level,
            "scores": as_json(self.measured),
            "ms_per_scene": {name: answer.ms_per_scene for name, answer in answers},
            "ms_ratio": self.evaluation.ms_ratio,
            "ece": {name: answer.ece for name, answer in answers},
            "state": self.state,
            "guards": dict(self.faults),
            "same_data": self.same_data,
        }


@dataclass(frozen=True)
class GateVerdict:
    """The verdict on one gate."""

    gate: str
    word: Word
    value: Mean | None
    """The number that decided; without an interval all three parts are equal. None if skipped."""
    needed: str
    """What passes, or why the gate was skipped."""

    def as_json(self) -> dict[str, Any]:
        """The verdict as plain values."""
        return {
            "gate": self.gate,
            "verdict": self.word,
            "found": None if self.value is None else self.value.as_json(),
            "needed": self.needed,
        }


def judge_gates(evidence: Evidence) -> tuple[GateVerdict, ...]:
    """Judge every gate, in the order in which people read them."""
    judge = _Judge(evidence)
    return (*judge.candidate(), *judge.champion())


def failed_gates(verdicts: Iterable[GateVerdict]) -> tuple[GateVerdict, ...]:
    """The gates that keep a candidate from being promoted."""
    return tuple(verdict for verdict in verdicts if verdict.word == "failed")


@dataclass(frozen=True)
class _Judge:
    evidence: Evidence

    @property
    def gates(self) -> Gates:
        return self.evidence.gates

    def candidate(self) -> Iterator[GateVerdict]:
        limits, scenes = self.gates.candidate, self.evidence.scenes
        yield _number(
            "scenes", scenes, f"at least {limits.scenes_min}", scenes >= limits.scenes_min
        )
        yield self._guards()
        yield self._chance()
        ece = self.evidence.evaluation.candidate.ece
        yield _number("calibration", ece, f"at most {limits.ece_max:g}", ece <= limits.ece_max)
        gain = self.evidence.mean("candidate - nomp success_rate")
        yield _loss("nomp success_rate", gain, self.gates.nomp.success_rate_loss_max)

    def champion(self) -> Iterator[GateVerdict]:
        limits, evidence = self.gates.champion, self.evidence
        yield self._data()
        if evidence.evaluation.champion is None:
            names = [*RATES, *(f"better {name}" for name in limits.better_in), "slices", "time"]
            for name in names:
                yield self._without_champion(name)
            return
        loss_max: dict[Rate, float] = {
            "success_rate": limits.success_rate_loss_max,
            "k_acc": limits.k_acc_loss_max,
        }
        for rate in RATES:
            yield _loss(rate, evidence.mean(f"candidate - champion {rate}"), loss_max[rate])
        for claim in limits.better_in:
            gain = evidence.mean(f"candidate - champion {claim}")
            yield _verdict(f"better {claim}", gain, "low > 0", gain.low > 0.0)
        for name in evidence.slices.sizes:
            if name != WHOLE:
                yield from self._slice(name)
        ratio, most = evidence.evaluation.ms_ratio, limits.ms_ratio_max
        ratio = math.nan if ratio is None else ratio
        yield _number("time", ratio, f"at most {most:g} x", ratio <= most)

    def _guards(self) -> GateVerdict:
        if self.gates.candidate.guards == "any":
            return GateVerdict("guards", "skipped", None, "these gates do not ask")
        faults = [f"{name} = {value:g}" for name, value in self.evidence.faults.items()]
        if self.evidence.state != "complete":
            faults.insert(0, f"the run is {self.evidence.state}")
        why = f": {', '.join(faults)}" if faults else ""
        return _number("guards", len(faults), f"a complete run without faults{why}", not faults)

    def _chance(self) -> GateVerdict:
        """The count beats the most frequent one; or sources are found, if all counts are equal."""
        evidence, least = self.evidence, self.gates.candidate.k_acc_gain_min
        if bool((evidence.evaluation.count == evidence.majority).all()):
            success = evidence.mean("candidate success_rate")
            return _verdict("chance", success, "low > 0 of success_rate", success.low > 0.0)
        gain = evidence.mean("candidate - majority k_acc")
        needed = f"low > {least:g} over always {evidence.majority}"
        return _verdict("chance", gain, needed, gain.low > least)

    def _data(self) -> GateVerdict:
        if self.evidence.same_data is None:
            return self._without_champion("data")
        if self.gates.champion.data == "any":
            return GateVerdict("data", "skipped", None, "these gates do not ask")
        word: Word = "passed" if self.evidence.same_data else "failed"
        return GateVerdict("data", word, None, "scenes of the champion's law and seed")

    def _slice(self, name: str) -> Iterator[GateVerdict]:
        limits, scenes = self.gates.champion, self.evidence.slices.sizes[name]
        for rate in RATES:
            gate = f"{rate} at {name}"
            if scenes < limits.slice_scenes_min:
                few = f"{scenes} scenes, and {limits.slice_scenes_min} are needed"
                yield GateVerdict(gate, "skipped", None, few)
            else:
                gain = self.evidence.mean(f"candidate - champion {rate}", name)
                yield _loss(gate, gain, limits.slice_loss_max)

    def _without_champion(self, gate: str) -> GateVerdict:
        return GateVerdict(gate, "skipped", None, self.evidence.no_champion)


def _loss(gate: str, gain: Mean, loss_max: float) -> GateVerdict:
    """Fails if more than `loss_max` may be lost."""
    return _verdict(gate, gain, f"low >= {-loss_max:g}", gain.low >= -loss_max)


def _number(gate: str, value: float, needed: str, holds: bool) -> GateVerdict:
    return _verdict(gate, Mean(value, value, value), needed, holds)


def _verdict(gate: str, value: Mean, needed: str, holds: bool) -> GateVerdict:
    finite = all(math.isfinite(number) for number in (value.value, value.low, value.high))
    return GateVerdict(gate, "passed" if holds and finite else "failed", value, needed)
