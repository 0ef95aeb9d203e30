"""Do two scores differ by more than the noise of scenes and seeds?

Where two networks answered the same scenes, those are drawn anew with both answers (`intervals`).
Of a validation only sums were recorded. A rate of n scenes has the deviation sqrt(p (1 - p) / n).
Of k_loc = (1 - k_acc) + e_phi + e_theta + e_r - success_rate it is about this at most:

    sd(k_loc) <= sd(k_acc) + sd(success_rate) + 3/2 sqrt((9 - (S / 3)^2) / m),  S = sum of e_x

because a squared error e in [0, 9] with the mean e_x^2 has a variance of at most e_x^2 (9 - e_x^2)
(R. Bhatia, C. Davis, A better bound on the variance, 2000), e_x is its root, the sum of the three
bounds is largest where they are equal, and deviations add at most. m counts the n scenes, fewer for
that those with many sources weigh more: n E K / K_MAX, as if all errors lay in those.

Answers to the same scenes go together, so the deviation of a difference is at most that of answers
to other scenes, sqrt(sd_1^2 + sd_2^2). Of right counts more is recorded: how many there are among
the scenes of each SNR and number of sources, which are the same scenes for both. Noise is what
varies within these groups, and how far the difference of one group is from that of another.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, mean
from typing import Final, Literal

from risexp.evaluation.intervals import paired
from risexp.evaluation.matching import CAP
from risexp.evaluation.scene_scores import SceneScores
from risexp.evaluation.small_samples import student_quantile

LEVEL: Final = 0.95
"""How often equal ones are called a tie."""
COMPARED: Final = ("k_loc", "k_acc", "success_rate")
"""The scores that are compared."""
_RESAMPLES: Final = 2000
_SEEN: Final = 20
"""Resamples in a tail, fewer of which do not tell where it ends."""
_APART: Final = 11.0
"""By which k_loc, from -1 to 10, can differ; rates differ by less."""
_ENOUGH: Final = 3
"""Degrees of freedom, fewer of which make any difference a tie."""

Verdict = Literal["tie", "lower", "higher", "not known"]
Stratum = tuple[int, int]
"""Scenes, and those whose count was right."""


@dataclass(frozen=True)
class RecordedScores:
    """Recorded scores of a validation."""

    k_loc: float
    k_acc: float
    success_rate: float
    scenes: int
    sources_max: int
    strata: Mapping[str, Stratum] = field(default_factory=dict)
    """By the group's name; empty if they were not recorded."""


@dataclass(frozen=True)
class Difference:
    """One score minus another, and where it may lie by chance."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Whether the first score is lower or higher; a tie if neither is certain.

        It is not known if the interval is wider than scores can differ.
        """
        if self.high < 0.0:
            return "lower"
        if self.low > 0.0:
            return "higher"
        # Written so that NaN is not known.
        return "tie" if self.margin <= _APART else "not known"

    @property
    def margin(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2.0

    def as_json(self) -> dict[str, float | str | None]:
        """As plain values."""
        known = {name: _finite(value) for name, value in vars(self).items()}
        return {**known, "verdict": self.verdict}


@dataclass(frozen=True)
class SeedSpread:
    """Deviation of k_loc between runs that differ in their seed only."""

    deviation: float
    freedom: int
    """Runs beyond the first of each configuration."""
    runs: int

    @property
    def enough(self) -> bool:
        """True if there are enough runs to widen differences by it."""
        return self.freedom >= _ENOUGH

    @classmethod
    def of(cls, groups: Sequence[Sequence[float]]) -> "SeedSpread | None":
        """Pool the deviation over configurations; None if none was trained under two seeds."""
        several = [group for group in groups if len(group) > 1]
        if not several:
            return None
        squares = math.fsum((score - mean(group)) ** 2 for group in several for score in group)
        runs = sum(map(len, several))
        freedom = runs - len(several)
        return cls(math.sqrt(squares / freedom), freedom, runs)

    def widened(self, difference: Difference, level: float = LEVEL) -> Difference:
        """A difference of two runs with an interval that also holds the noise of their seeds."""
        margin = student_quantile(level, self.freedom) * self.deviation * math.sqrt(2.0)
        value = difference.value
        return Difference(
            value,
            value - math.hypot(value - difference.low, margin),
            value + math.hypot(difference.high - value, margin),
        )


def level_of_all(compared: int, level: float = LEVEL) -> float:
    """Level of a single pair so that all pairs together hold at `level` (Bonferroni).

    The best of several is chosen for its luck too, so every pair may be the one that counts.
    """
    return 1.0 - (1.0 - level) / max(1, compared * (compared - 1) // 2)


def answered(
    ours: Sequence[SceneScores], theirs: Sequence[SceneScores], level: float = LEVEL
) -> dict[str, Difference]:
    """Differences of two answers to the same scenes, in the mean over SNRs, by score.

    The interval is taken at a level at which the tails hold enough resamples, and stretched to the
    wanted one as Student's interval of as many scenes is.

    `ours` and `theirs` hold one table an SNR.
    """
    counted = min(level, 1.0 - 2.0 * _SEEN / _RESAMPLES)
    stretch = student_quantile(level, max(1, len(ours[0]) - 1)) / _sigmas(counted)
    apart = paired(ours, theirs, resamples=_RESAMPLES, level=counted)
    differences = {}
    for name in COMPARED:
        value, low, high = (getattr(end, name) for end in (apart.value, apart.low, apart.high))
        differences[name] = Difference(
            value, value - stretch * (value - low), value + stretch * (high - value)
        )
    return differences


def recorded(
    ours: RecordedScores, theirs: RecordedScores, *, same_scenes: bool, level: float = LEVEL
) -> dict[str, Difference]:
    """Differences of two validations' scores, by score.

    `same_scenes` is true if both validations used the very same scenes.
    """
    sigmas = _sigmas(level)
    one, other = deviations(ours), deviations(theirs)
    apart = {name: math.hypot(one[name], other[name]) for name in COMPARED}
    if same_scenes:
        apart["k_acc"] = min(apart["k_acc"], _over_strata(ours.strata, theirs.strata))
    differences = {}
    for name, deviation in apart.items():
        value = getattr(ours, name) - getattr(theirs, name)
        differences[name] = Difference(
            value, value - sigmas * deviation, value + sigmas * deviation
        )
    return differences


def deviations(of: RecordedScores) -> dict[str, float]:
    """Deviation of the scores from one set of scenes to another; an upper estimate for k_loc."""
    rates = {name: _of_rate(getattr(of, name), of.scenes) for name in ("k_acc", "success_rate")}
    # E K / K_MAX where all counts are equally frequent.
    most = of.sources_max
    weighty = of.scenes * (most + 1) / (2.0 * most)
    errors = of.k_loc - (1.0 - of.k_acc) + of.success_rate
    mean_error = min(max(errors / 3.0, 0.0), CAP)
    located = 1.5 * math.sqrt((CAP**2 - mean_error**2) / weighty)
    return {"k_loc": located + sum(rates.values()), **rates}


def _of_rate(rate: float, scenes: int) -> float:
    """Deviation of a rate, with one more hit and one more miss: few scenes prove no certainty."""
    shrunk = (rate * scenes + 1.0) / (scenes + 2.0)
    return math.sqrt(shrunk * (1.0 - shrunk) / scenes)


def _sigmas(level: float) -> float:
    """Deviations to either side of the mean that hold this share of a normal law."""
    return NormalDist().inv_cdf(0.5 + level / 2.0)


def _over_strata(ours: Mapping[str, Stratum], theirs: Mapping[str, Stratum]) -> float:
    """Deviation of the difference of two k_acc over groups of the same scenes."""
    if not ours or {key: scenes for key, (scenes, _) in ours.items()} != {
        key: scenes for key, (scenes, _) in theirs.items()
    }:
        return math.inf
    total = sum(scenes for scenes, _ in ours.values())
    within = math.fsum(
        (scenes * _of_rate(right / scenes, scenes)) ** 2
        for strata in (ours, theirs)
        for scenes, right in strata.values()
        if scenes
    )
    apart = {key: ours[key][1] - theirs[key][1] for key in ours}
    middle = sum(apart.values()) / total
    between = math.fsum(
        (apart[key] - scenes * middle) ** 2 / scenes for key, (scenes, _) in ours.items() if scenes
    )
    return math.sqrt(within + between) / total


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
