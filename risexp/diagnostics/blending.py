"""What the samples cost a perfect prediction: the floor under a blended covariance's error.

Blended and label both have trace N, so the floor is beta^2 times what the samples alone score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Scenes
from risexp.diagnostics.draws import known_snr_db, scenes_at
from risexp.diagnostics.labels import label_covariance
from risexp.diagnostics.report import Table

_SMALL: Final = 0.01
"""A floor that leaves room for every error worth training away."""


@dataclass(frozen=True)
class BlendedLabels:
    """NMSE against the labels, of labels blended with samples and of the samples themselves."""

    blended: Tensor
    """(B,) float64: the floor."""
    samples: Tensor
    """(B,) float64."""

    @classmethod
    def of(cls, config: RunConfig, scenes: Scenes, beta: float) -> Self:
        """Blend the labels of scenes as the configuration blends predictions."""
        frames, method = scenes.frames, config.sampled.method_for(config.physics.symbols)
        seen = frames.y, frames.channel, frames.codes
        sampled = sampled_covariance(method, *seen, config.sampled.ridge)
        label, snr_db = label_covariance(config.physics, scenes.truth), known_snr_db(frames)
        base = config.covariance.alpha_base
        goal = effective(label, snr_db, alpha_base=base)
        blended, alone = (
            effective(label, snr_db, sampled, share, alpha_base=base).nmse(goal)
            for share in (beta, 1.0)
        )
        return cls(blended, alone)


def floor_table(config: RunConfig, scenes: int, beta: float, levels: Sequence[float]) -> Table:
    """The mean floor at each SNR, beside what the samples alone score."""
    found = [BlendedLabels.of(config, scenes_at(config, level, scenes), beta) for level in levels]
    method = config.sampled.method_for(config.physics.symbols)
    return Table(
        f"NMSE of perfect predictions blended with {method} samples",
        ("SNR (dB)", f"beta {beta:g}", "samples alone"),
        tuple(
            (f"{level:g}", float(each.blended.mean()), float(each.samples.mean()))
            for level, each in zip(levels, found, strict=True)
        ),
    )


def on_floor(beta: float, floor: float) -> str:
    """What a floor means for a run."""
    if beta == 0.0:
        return "Blending is off at beta 0: a perfect prediction can score 0."
    if floor <= _SMALL:
        return f"At beta {beta:g} the samples leave a floor of {floor:.2g}, little enough to blend."
    largest = beta * (_SMALL / floor) ** 0.5
    return (
        f"At beta {beta:g} a perfect prediction still scores {floor:.2g}: read every blended error "
        f"beside it, or stay below beta {largest:.2g}, where the floor is {_SMALL:g}."
    )
