"""The table of epochs, made before the run, so that nothing is decided on the way.

beta(e) = start + (final - start) (e - 1) / (ramp - 1)   up to e = ramp, then final

The ramps of count and structure terms are counted alike, from the first epoch of their phase.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from risexp.config.learning import STRUCTURE, LossWeights
from risexp.config.run import RunConfig
from risexp.config.training import BetaConfig, CurriculumConfig, Part, Phase
from risexp.errors import ConfigInvalid
from risexp.training.plan import Plan

_FULL_BLEND: Final = 0.999
_CARRIED: Final = 0.2
_FIRST_COUNT_SHARE: Final = 0.1


def curriculum(config: RunConfig) -> tuple[Plan, ...]:
    """One plan an epoch."""
    epochs = config.training.epochs
    settled, starts = _settled(config), ramp_starts(config, epochs)
    plans = []
    for epoch, phase in enumerate(phases(config.curriculum, epochs), start=1):
        beta = beta_at(config.beta, epoch, epochs) + _jitter(config, epoch)
        beta = min(max(beta, 0.0), 1.0)
        plans.append(
            Plan(
                epoch=epoch,
                phase=phase,
                beta=beta,
                weights=_weights(config, phase, epoch, beta, starts),
                rates=_rates(config.curriculum, phase),
                judged=epoch >= settled,
            )
        )
    return tuple(plans)


def phases(curriculum: CurriculumConfig, epochs: int) -> tuple[Phase, ...]:
    """The phase of every epoch."""
    if curriculum.phase != "three-phase":
        return (curriculum.phase,) * epochs
    if epochs < 3:
        raise ConfigInvalid(
            f"training.epochs = {epochs} leave a phase of curriculum.phase = 'three-phase' "
            "without an epoch: ask for three or more"
        )
    geometry = min(max(1, round(curriculum.geometry_share * epochs)), epochs - 2)
    count = min(max(1, round(curriculum.count_share * epochs)), epochs - geometry - 1)
    lengths: tuple[tuple[Phase, int], ...] = (
        ("geometry", geometry),
        ("count", count),
        ("joint", epochs - geometry - count),
    )
    return tuple(phase for phase, length in lengths for _ in range(length))


def beta_ramp(beta: BetaConfig, epochs: int) -> int:
    """The epoch at which beta has its final value: a share of all epochs, at least two."""
    # 0.29 * 100 lies just under 29 in binary.
    return max(2, int(beta.ramp_share * epochs + 1e-9))


def beta_at(beta: BetaConfig, epoch: int, epochs: int) -> float:
    """Beta of an epoch, before its jitter."""
    return _ramp(beta.start, beta.final, epoch, beta_ramp(beta, epochs))


def ramp_starts(config: RunConfig, epochs: int) -> Mapping[str, int]:
    """The first epoch of each ramp's phase, by the field of its length.

    The count's is the count phase where there is one; that of structure terms is the first phase in
    which one has a weight.
    """
    table = phases(config.curriculum, epochs)
    structured = [not config.loss_of(phase).weighed.isdisjoint(STRUCTURE) for phase in table]
    return {
        "count_ramp": 1 + (table.index("count") if "count" in table else 0),
        "structure_ramp": 1 + (structured.index(True) if any(structured) else 0),
    }


def _ramp(start: float, final: float, epoch: int, length: int) -> float:
    """From start up to epoch 1 to exactly final at epoch `length`; final at once if it is short."""
    if length <= 1 or epoch >= length:
        return final
    return start + (final - start) * (max(epoch, 1) - 1) / (length - 1)


def _settled(config: RunConfig) -> int:
    """The first epoch that no ramp changes any more."""
    epochs = config.training.epochs
    starts = ramp_starts(config, epochs)
    ramps = {
        f"curriculum.{name}": (starts[name], length)
        for name, length in config.curriculum.ramps(config.weighed).items()
    }
    if config.beta.moves:
        ramps["beta.ramp_share"] = 1, beta_ramp(config.beta, epochs)
    for name, (start, length) in ramps.items():
        if start + length - 1 > epochs:
            raise ConfigInvalid(
                f"training.epochs = {epochs} end before the {length} epochs of {name}"
                f"{_begin(start)}, and no epoch could be judged: ask for more epochs, or for a "
                "shorter ramp"
            )
    return max((start + length - 1 for start, length in ramps.values()), default=1)


def _begin(start: int) -> str:
    return "" if start == 1 else f", which begin with epoch {start}"


def _jitter(config: RunConfig, epoch: int) -> float:
    """Uniform within plus and minus `beta.jitter`: a function of (seed, epoch) alone."""
    name = f"risexp beta {config.training.seed} {epoch}"
    digest = hashlib.sha256(name.encode()).digest()
    unit = int.from_bytes(digest[:8], "little") / 2.0**64
    return config.beta.jitter * (2.0 * unit - 1.0)


def _weights(
    config: RunConfig, phase: Phase, epoch: int, beta: float, starts: Mapping[str, int]
) -> Mapping[str, float]:
    source = config.loss_of(phase)
    weights: dict[str, float] = source.model_dump(include=set(LossWeights.model_fields))
    lengths = config.curriculum
    into = {name: epoch - start + 1 for name, start in starts.items()}
    count_share = _ramp(_FIRST_COUNT_SHARE, 1.0, into["count_ramp"], lengths.count_ramp)
    structure_share = _ramp(0.0, 1.0, into["structure_ramp"], lengths.structure_ramp)
    weights["count"] *= count_share
    for name in STRUCTURE:
        weights[name] *= structure_share
    if beta >= _FULL_BLEND:
        weights["cov_pred"] = max(weights["cov_pred"], _CARRIED * weights["cov"])
    return weights


def _rates(curriculum: CurriculumConfig, phase: Phase) -> Mapping[Part, float]:
    backbone = curriculum.count_backbone_lr if phase == "count" else 1.0
    return {"backbone": backbone, "heads": 1.0}
