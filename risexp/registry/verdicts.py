"""Gates judged by evidence: each passed, failed or skipped, with the number that decided.

Every comparison is written so that what is no number fails it.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from risexp.config.gates import Gates
from risexp.evaluation.paired import RATES, WHOLE, Mean, Rate
from risexp.registry.evidence import Evidence

Word = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class GateVerdict:
    """What became of one gate."""

    gate: str
    word: Word
    found: Mean | None
    """What it was judged by; without an interval all three are equal. None where it was not."""
    needed: str
    """What passes, or why it was skipped."""

    def as_json(self) -> dict[str, Any]:
        """The verdict as plain values."""
        return {
            "gate": self.gate,
            "verdict": self.word,
            "found": None if self.found is None else self.found.as_json(),
            "needed": self.needed,
        }


def judged(gates: Gates, evidence: Evidence) -> tuple[GateVerdict, ...]:
    """Every gate, in the order in which people read them."""
    return (*_alone(gates, evidence), *_beside_champion(gates, evidence))


def failed(verdicts: Iterable[GateVerdict]) -> tuple[GateVerdict, ...]:
    """Those that keep a candidate from being promoted."""
    return tuple(each for each in verdicts if each.word == "failed")


def _alone(gates: Gates, evidence: Evidence) -> Iterator[GateVerdict]:
    asked, scenes = gates.candidate, evidence.scenes
    yield _single("scenes", scenes, f"at least {asked.scenes_min}", scenes >= asked.scenes_min)
    yield _guards(gates, evidence)
    yield _chance(asked.k_acc_gain_min, evidence)
    ece = evidence.candidate.ece
    yield _single("calibration", ece, f"at most {asked.ece_max:g}", ece <= asked.ece_max)
    yield _kept(
        "nomp success_rate",
        evidence.mean("candidate - nomp success_rate"),
        gates.nomp.success_rate_loss_max,
    )


def _guards(gates: Gates, evidence: Evidence) -> GateVerdict:
    if gates.candidate.guards == "any":
        return GateVerdict("guards", "skipped", None, "these gates do not ask")
    said = [f"{name} = {value:g}" for name, value in evidence.faults.items()]
    if evidence.state != "complete":
        said.insert(0, f"the run is {evidence.state}")
    told = f"a complete run and none that found something{_because(said)}"
    return _single("guards", len(said), told, not said)


def _because(said: list[str]) -> str:
    return f": {', '.join(said)}" if said else ""


def _chance(gain: float, evidence: Evidence) -> GateVerdict:
    """The count is more often right than a guess; or sources are found, where all count alike."""
    if not evidence.varied:
        found = evidence.mean("candidate success_rate")
        return _judged("chance", found, "low > 0 of success_rate", found.low > 0.0)
    found = evidence.mean("candidate - majority k_acc")
    return _judged(
        "chance", found, f"low > {gain:g} over always {evidence.majority}", found.low > gain
    )


def _beside_champion(gates: Gates, evidence: Evidence) -> Iterator[GateVerdict]:
    asked = gates.champion
    yield _data(gates, evidence)
    if evidence.champion is None:
        names = [*RATES, *(f"better {name}" for name in asked.better_in), "slices", "time"]
        for name in names:
            yield GateVerdict(name, "skipped", None, evidence.alone)
        return
    limits: dict[Rate, float] = {
        "success_rate": asked.success_rate_loss_max,
        "k_acc": asked.k_acc_loss_max,
    }
    for name in RATES:
        yield _kept(name, evidence.mean(f"candidate - champion {name}"), limits[name])
    for claim in asked.better_in:
        found = evidence.mean(f"candidate - champion {claim}")
        yield _judged(f"better {claim}", found, "low > 0", found.low > 0.0)
    yield from _slices(gates, evidence)
    ratio = math.nan if evidence.ms_ratio is None else evidence.ms_ratio
    yield _single("time", ratio, f"at most {asked.ms_ratio_max:g} x", ratio <= asked.ms_ratio_max)


def _data(gates: Gates, evidence: Evidence) -> GateVerdict:
    if evidence.same_data is None:
        return GateVerdict("data", "skipped", None, evidence.alone)
    if gates.champion.data == "any":
        return GateVerdict("data", "skipped", None, "these gates do not ask")
    word: Word = "passed" if evidence.same_data else "failed"
    return GateVerdict("data", word, None, "scenes of the champion's law and seed")


def _slices(gates: Gates, evidence: Evidence) -> Iterator[GateVerdict]:
    asked = gates.champion
    for name, scenes in evidence.slices.sizes.items():
        if name == WHOLE:
            continue
        for rate in RATES:
            gate = f"{rate} at {name}"
            if scenes < asked.slice_scenes_min:
                few = f"{scenes} scenes, and {asked.slice_scenes_min} are needed"
                yield GateVerdict(gate, "skipped", None, few)
            else:
                found = evidence.mean(f"candidate - champion {rate}", name)
                yield _kept(gate, found, asked.slice_loss_max)


def _kept(gate: str, found: Mean, loss_max: float) -> GateVerdict:
    """Not worse by more than so much."""
    return _judged(gate, found, f"low >= {-loss_max:g}", found.low >= -loss_max)


def _single(gate: str, value: float, needed: str, holds: bool) -> GateVerdict:
    return _judged(gate, Mean(value, value, value), needed, holds)


def _judged(gate: str, found: Mean, needed: str, holds: bool) -> GateVerdict:
    sound = all(math.isfinite(each) for each in (found.value, found.low, found.high))
    return GateVerdict(gate, "passed" if holds and sound else "failed", found, needed)
