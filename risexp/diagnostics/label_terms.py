"""What the loss says of labels fed as predictions: nothing, in any order of the slots."""

from dataclasses import replace
from typing import Final

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.diagnostics.checks import Requirement
from risexp.loss.balance import Fixed
from risexp.loss.perfect import SURE, perfect_prediction
from risexp.loss.target import Target
from risexp.model.counting import CountLaw
from risexp.model.observation import Observation
from risexp.model.prediction import Pointers, Prediction
from risexp.training.curriculum import curriculum
from risexp.training.objective import Objective

LIMIT: Final = 1e-9
"""What rounding, and logits of 30 in place of infinite ones, may leave: e^-30 is 1e-13."""
SINGLE: Final = 1e-6
"""The same of terms that are ratios of eigenvalues of factors in single precision."""
ALWAYS: Final = ("cov", "cov_pred", "pointers", "count", "subspace")
"""Terms that are asked whether or not they have a weight."""
LABELS_ARE_BEST: Final = {
    "cov": LIMIT,
    "cov_pred": LIMIT,
    "pointers": LIMIT,
    "count": LIMIT,
    "subspace": LIMIT,
    "existence": LIMIT,
    "found": LIMIT,
    "peak_contrast": LIMIT,
    "cross": LIMIT,
    "eigengap": SINGLE,
    "margin": SINGLE,
}
"""Terms whose least value labels have, and what may be left of it; the columns of a label are no
optimum of `orthogonality`, and it draws no map."""


def term_checks(config: RunConfig, teacher: Objective, scenes: Scenes) -> tuple[Requirement, ...]:
    """One check a term, without samples, and one of all terms with the slots the other way round.

    Args:
        config: Says which terms have a weight.
        teacher: Marks answers as it does in training.
        scenes: Whose labels are the answers.
    """
    observation = replace(teacher.observe, search_steps=None)(scenes.frames)
    perfect = perfect_answer(config, teacher, observation, scenes)
    limits = {name: LABELS_ARE_BEST[name] for name in _asked(config)}
    plain = _marks(config, teacher, observation, scenes, perfect)
    turned = _marks(config, teacher, observation, scenes, slots_turned(perfect))
    seeing = [name for name, limit in limits.items() if not turned[name] <= limit]
    return (
        *(_term_check(name, plain[name], limit) for name, limit in limits.items()),
        Requirement.at_most(
            "terms that say something once the slots are in another order",
            float(len(seeing)),
            0.0,
            f"The loss depends on the order of the slots, by {', '.join(seeing)}: pair slots with "
            "sources by the best of all orders before comparing them.",
        ),
    )


def perfect_answer(
    config: RunConfig, teacher: Objective, observation: Observation, scenes: Scenes
) -> Prediction:
    """The labels in the form of a prediction, as this configuration counts."""
    target = Target.of(
        teacher.panel, scenes.truth, observation.snr_db, teacher.alpha_base, teacher.label_power
    )
    law = CountLaw(config.count.kind, config.data.sources_max, config.count.threshold)
    return perfect_prediction(target, teacher.settings, law, config.factors.lambda_range)


def slots_turned(answer: Prediction) -> Prediction:
    """The same answer, its last slot first."""
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


def _asked(config: RunConfig) -> list[str]:
    active = {name for plan in curriculum(config) for name in plan.active}
    return [name for name in LABELS_ARE_BEST if name in ALWAYS or name in active]


def _marks(
    config: RunConfig,
    teacher: Objective,
    observation: Observation,
    scenes: Scenes,
    answer: Prediction,
) -> dict[str, float]:
    """The size of every term's mean under weights of one."""
    weights = dict.fromkeys(_asked(config), 1.0)
    plan = replace(curriculum(config)[-1], beta=0.0, weights=weights)
    loss = replace(teacher, balance=Fixed()).mark(answer, observation, scenes, plan)
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
