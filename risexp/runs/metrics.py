"""The metric keys of a journal: what each one means, and their values for one epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from risexp.config.learning import LossWeights
from risexp.evaluation.metrics import METRICS
from risexp.training.plan import PARTS

if TYPE_CHECKING:
    from risexp.training.events import EpochEnded
    from risexp.training.meters import Steps


@dataclass(frozen=True)
class Measure:
    """The description of one metric key."""

    unit: str
    """Empty for pure numbers."""
    direction: Literal["min", "max", "none"]
    """Whether smaller or larger values are better; `none` if neither."""
    sentence: str
    repeats: bool = True
    """True if the same epoch, computed again, gives the same value; times do not."""


def _measures(table: Mapping[str, tuple[str, str]]) -> dict[str, Measure]:
    return {name: Measure(unit, "none", meaning) for name, (unit, meaning) in table.items()}


_TERMS: Final = {
    name: " ".join((field.description or "").split())
    for name, field in LossWeights.model_fields.items()
}
_TOTAL: Final = "Sum of the weighted terms, the loss that is descended; mean over scenes."

SCORES: Final[Mapping[str, Measure]] = {
    **{name: Measure(one.unit, one.direction, one.sentence) for name, one in METRICS.items()},
    "loss": Measure("", "min", "Total loss on the validation scenes."),
    "count_nll": Measure("nat", "min", "Mean of -log of the true count's probability."),
    **_measures(
        {
            "count_nll_chance": (
                "nat",
                "count_nll of the counts' own frequencies.",
            ),
            "count_entropy": ("nat", "Entropy of the predicted counts; 0: always the same count."),
            "k_majority": ("", "k_acc of always answering the most frequent count."),
            "k_reference": ("", "Share of scenes all of whose sources are detectable."),
            "success_reference": ("", "Expected success_rate at the Cramer-Rao bound."),
            "k_nomp": ("", "k_acc of the classical localiser on the same scenes."),
            "success_nomp": ("", "success_rate of the classical localiser on the same scenes."),
            "scenes": ("scenes", "How many scenes were scored."),
            "blend_effect": (
                "",
                "RMS distance of the effective covariances with and without samples, over N.",
            ),
        }
    ),
}

GUARDS: Final[Mapping[str, Measure]] = _measures(
    {
        "steps": ("faults", "Batches that did not end in one step each, or none taken."),
        "refused": ("faults", "More steps refused than a run may bear."),
        "moved": ("faults", "Parts whose weights did not move, or moved though frozen."),
        "weights": ("faults", "Weights that are not finite."),
        "average": ("faults", "Averaged weights that are not finite, or are not averaged."),
        "loss": ("faults", "A total of exactly zero, or one that is not the sum of its terms."),
        "covariance": ("faults", "A mean covariance error that is not between 0 and 100."),
        "plan": ("faults", "Terms that do not weigh what the plan says."),
        "curriculum": ("faults", "Fields of the plan in force that differ from the plan made."),
        "gradient": ("parameters", "Trainable parameters that never received a gradient."),
        "blend": ("", "blend_effect over beta: how far samples and prediction are apart."),
        "chance": ("epochs", "Judged epochs in a row in which the count was at chance."),
        "leak": ("marks", "Validation scenes or streams that occur in training, before the run."),
    }
)
"""What each guard measures, by name."""

SYSTEM: Final[Mapping[str, Measure]] = {
    "cpu": Measure("cores", "none", "Cores in use, mean over the epoch.", repeats=False),
    "memory_mb": Measure("MB", "min", "Largest memory of the process so far.", repeats=False),
    "training_s": Measure("s", "min", "Time of the epoch's training.", repeats=False),
    "validation_s": Measure("s", "min", "Time of the epoch's validation.", repeats=False),
}
"""Time, processor and memory of an epoch, by name."""

_EPOCH: Final[Mapping[str, Measure]] = {
    **_measures(
        {
            "beta": ("", "Share of the samples in the blend, jitter included."),
            "lr": ("", "Learning rate of the backbone at the last batch."),
            "step/taken": ("steps", "Optimizer steps of the epoch."),
            "step/clipped": ("steps", "Steps whose gradient was shortened."),
            "grad_norm": ("", "Mean norm of the gradient before clipping, over the steps taken."),
            "grad_norm_max": ("", "Largest of these norms."),
            "delta_param": ("", "Norm of all that the epoch added to the weights."),
            "average_distance": ("", "Norm of the difference of averaged and plain weights."),
            "average_moved": ("", "Norm of what the epoch changed in the averaged weights."),
            "loss/total": ("", _TOTAL),
        }
    ),
    "step/refused": Measure("steps", "min", "Batches whose step was refused."),
    "scenes_per_s": Measure("scenes/s", "max", "Scenes trained on in a second.", repeats=False),
}


def _grouped() -> dict[str, Measure]:
    keys: dict[str, Measure] = {}
    for name, meaning in _TERMS.items():
        keys[f"loss/{name}"] = Measure("", "min", meaning)
        keys[f"weighted/{name}"] = Measure("", "min", f"Its share of the total loss. {meaning}")
        keys[f"weight/{name}"] = Measure("", "none", f"Its weight in the plan. {meaning}")
    keys |= {f"lr/{part}": Measure("", "none", f"Learning rate of the {part}.") for part in PARTS}
    for group, table in (("val", SCORES), ("best", SCORES), ("guard", GUARDS), ("sys", SYSTEM)):
        keys |= {f"{group}/{name}": measure for name, measure in table.items()}
    return keys


KEYS: Final[Mapping[str, Measure]] = {**_EPOCH, **_grouped()}


def epoch_values(ended: "EpochEnded") -> dict[str, float]:
    """The values of an epoch by the keys of a journal.

    `best/*` is present if the epoch is the best so far, so its latest value is the best one.
    """
    plan, losses = ended.plan, ended.losses
    values: dict[str, float] = {"beta": plan.beta, "loss/total": losses.total}
    values |= {f"loss/{name}": value for name, value in losses.raw.items()}
    values |= {f"weighted/{name}": value for name, value in losses.weighted.items()}
    values |= {f"weight/{name}": weight for name, weight in plan.active.items()}
    values |= _step_values(ended.steps)
    values |= {f"val/{name}": value for name, value in ended.scores.items()}
    if ended.improved:
        values |= {f"best/{name}": value for name, value in ended.scores.items()}
    values["scenes_per_s"] = scenes_per_s(ended)
    values |= {"sys/training_s": ended.training_s, "sys/validation_s": ended.validation_s}
    return {key: float(value) for key, value in values.items()}


def scenes_per_s(ended: "EpochEnded") -> float:
    """Training scenes per second of training; validation is not counted."""
    return ended.losses.scenes / max(ended.training_s, 1e-9)


def _step_values(steps: "Steps") -> dict[str, float]:
    values: dict[str, float | None] = {
        "step/taken": steps.taken,
        "step/refused": len(steps.refused),
        "step/clipped": steps.clipped,
        "grad_norm": steps.grad_norm,
        "grad_norm_max": steps.grad_norm_max,
        "delta_param": steps.delta_param,
        "lr": steps.lr.get("backbone"),
        **{f"lr/{part}": rate for part, rate in steps.lr.items()},
        # None if no averaged weights are kept.
        "average_distance": steps.average_distance,
        "average_moved": steps.average_moved,
    }
    return {key: value for key, value in values.items() if value is not None}
