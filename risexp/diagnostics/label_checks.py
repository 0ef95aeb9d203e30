"""Checks with labels in place of predictions: every loss term, and the floor under a blend."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Scenes
from risexp.diagnostics.probe_data import known_snr_db, label_covariance, scenes_at
from risexp.diagnostics.report import Requirement, Table
from risexp.loss.self_test import SURE, perfect_prediction
from risexp.loss.weighting import Fixed
from risexp.model.observation import Observation
from risexp.model.prediction import CountLaw, Pointers, Prediction
from risexp.training.curriculum import curriculum
from risexp.training.objective import Objective

LIMIT: Final = 1e-9
"""What rounding and logits of 30 may leave; e^-30 is 1e-13."""
SINGLE: Final = 1e-6
"""The same for ratios of eigenvalues of factors in single precision."""
ALWAYS: Final = ("cov", "cov_pred", "pointers", "count", "subspace")
"""Terms that are checked with or without a weight."""
LABELS_ARE_BEST: Final = {
    **dict.fromkeys((*ALWAYS, "existence", "found", "peak_contrast", "cross"), LIMIT),
    **dict.fromkeys(("eigengap", "margin"), SINGLE),
}
"""Terms that labels minimise, and what may remain. Left out: `orthogonality`, which a label's
columns do not minimise, and `heat`, as a label has no heat map."""
_SMALL_FLOOR: Final = 0.01
"""A floor small enough to train above it."""


def term_checks(config: RunConfig, objective: Objective, scenes: Scenes) -> tuple[Requirement, ...]:
    """One check a term without samples, and one of all terms with the slots in reverse order."""
    observation = replace(objective.observe, search_steps=None)(scenes.frames)
    perfect = perfect_answer(config, objective, observation, scenes)
    limits = {name: LABELS_ARE_BEST[name] for name in _checked_terms(config)}
    plain = _term_sizes(config, objective, observation, scenes, perfect)
    reversed_ = _term_sizes(config, objective, observation, scenes, slots_reversed(perfect))
    ordered = [name for name, limit in limits.items() if not reversed_[name] <= limit]
    return (
        *(_term_check(name, plain[name], limit) for name, limit in limits.items()),
        Requirement.at_most(
            "terms that say something once the slots are in another order",
            float(len(ordered)),
            0.0,
            f"The loss depends on the order of the slots, by {', '.join(ordered)}: pair slots with "
            "sources by the best of all orders before comparing them.",
        ),
    )


def perfect_answer(
    config: RunConfig, objective: Objective, observation: Observation, scenes: Scenes
) -> Prediction:
    """The labels as a prediction under the configured count law."""
    law = CountLaw(config.count.kind, config.data.sources_max, config.count.threshold)
    target = objective.target(observation, scenes)
    return perfect_prediction(target, objective.settings, law, config.factors.lambda_range)


def slots_reversed(answer: Prediction) -> Prediction:
    """The same answer with its slots in reverse order."""
    slotted = answer.count_law.kind == "slots"
    pointers = answer.pointers
    return replace(
        answer,
        angle_factor=answer.angle_factor.flip(-1),
        range_factor=answer.range_factor.flip(-1),
        count_logits=answer.count_logits.flip(-1) if slotted else answer.count_logits,
        pointers=Pointers(
            pointers.phi_rad.flip(-1),
            pointers.theta_rad.flip(-1),
            pointers.rho.flip(-1),
            pointers.existence.flip(-1),
        ),
    )


def _checked_terms(config: RunConfig) -> list[str]:
    active = {name for plan in curriculum(config) for name in plan.active}
    return [name for name in LABELS_ARE_BEST if name in ALWAYS or name in active]


def _term_sizes(
    config: RunConfig,
    objective: Objective,
    observation: Observation,
    scenes: Scenes,
    answer: Prediction,
) -> dict[str, float]:
    """The absolute mean of every checked term under weights of one."""
    weights = dict.fromkeys(_checked_terms(config), 1.0)
    plan = replace(curriculum(config)[-1], beta=0.0, weights=weights)
    loss = replace(objective, balance=Fixed()).mark(answer, observation, scenes, plan)
    return {name: abs(float(value)) for name, value in loss.terms.items()}


def _term_check(name: str, value: float, limit: float) -> Requirement:
    sure = f" (logits of {SURE:g})" if name in {"count", "existence", "found"} else ""
    return Requirement.at_most(
        f"term {name} of labels{sure}",
        value,
        limit,
        f"Labels fed as predictions do not score 0 by the term {name}: what it compares with is "
        "not built as the prediction is, so send both through one function, regularised alike.",
    )


@dataclass(frozen=True)
class BlendedLabels:
    """NMSE against the labels, of labels blended with samples and of samples alone.

    Blended and label both have trace N, so the floor is beta^2 times the error of the samples.
    """

    blended: Tensor
    """(B,) float64: the floor."""
    samples: Tensor
    """(B,) float64."""

    @classmethod
    def of(cls, config: RunConfig, scenes: Scenes, beta: float) -> Self:
        """Blend the labels of scenes as the configuration blends predictions."""
        frames, method = scenes.frames, config.sampled.method_for(config.physics.symbols)
        measured = frames.y, frames.channel, frames.codes
        sampled = sampled_covariance(method, *measured, config.sampled.ridge)
        label, snr_db = label_covariance(config.physics, scenes.truth), known_snr_db(frames)
        base = config.covariance.alpha_base
        goal = effective(label, snr_db, alpha_base=base)
        blended, alone = (
            effective(label, snr_db, sampled, share, alpha_base=base).nmse(goal)
            for share in (beta, 1.0)
        )
        return cls(blended, alone)


def floor_table(config: RunConfig, scenes: int, beta: float, levels: Sequence[float]) -> Table:
    """The mean floor at each SNR, beside the error of samples alone."""
    floors = {
        level: BlendedLabels.of(config, scenes_at(config, level, scenes), beta) for level in levels
    }
    method = config.sampled.method_for(config.physics.symbols)
    rows = tuple(
        (f"{level:g}", float(floor.blended.mean()), float(floor.samples.mean()))
        for level, floor in floors.items()
    )
    label = f"NMSE of perfect predictions blended with {method} samples"
    return Table(label, ("SNR (dB)", f"beta {beta:g}", "samples alone"), rows)


def floor_advice(beta: float, floor: float) -> str:
    """What a floor means for a run."""
    if beta == 0.0:
        return "Blending is off at beta 0: a perfect prediction can score 0."
    if floor <= _SMALL_FLOOR:
        return f"At beta {beta:g} the samples leave a floor of {floor:.2g}, little enough to blend."
    largest = beta * (_SMALL_FLOOR / floor) ** 0.5
    return (
        f"At beta {beta:g} a perfect prediction still scores {floor:.2g}: read every blended error "
        f"beside it, or stay below beta {largest:.2g}, where the floor is {_SMALL_FLOOR:g}."
    )
