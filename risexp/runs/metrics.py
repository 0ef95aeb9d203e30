"""What each key of a journal means, said once: for records, plots, and whoever reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from risexp.config.learning import LossWeights
from risexp.evaluation.metrics import METRICS
from risexp.training.plan import PARTS


@dataclass(frozen=True)
class Measure:
    """How to read one key."""

    unit: str
    """Empty for pure numbers."""
    direction: Literal["min", "max", "none"]
    """Whether smaller or larger is better; `none` where it is neither."""
    sentence: str
    """What it says."""
    repeats: bool = True
    """Whether the same epoch, computed again, gives the same value; times do not."""


def _measures(table: Mapping[str, tuple[str, str]]) -> dict[str, Measure]:
    return {name: Measure(unit, "none", said) for name, (unit, said) in table.items()}


_TERMS: Final = {
    name: " ".join((field.description or "").split())
    for name, field in LossWeights.model_fields.items()
}
_TOTAL: Final = "Sum of the weighted terms, the loss that is descended; mean over scenes."

SCORES: Final[Mapping[str, Measure]] = {
    **{name: Measure(each.unit, each.direction, each.sentence) for name, each in METRICS.items()},
    "loss": Measure("", "min", "Total loss on the validation scenes."),
    "count_nll": Measure("nat", "min", "Mean of -log of the true count's probability."),
    **_measures(
        {
            "count_nll_chance": ("nat", "The same where every count has its frequency."),
            "count_entropy": ("nat", "Entropy of how often each count is answered; 0: always one."),
            "k_majority": ("", "k_acc of whoever always answers the most frequent count."),
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
"""What a validation finds, by name."""

GUARDS: Final[Mapping[str, Measure]] = _measures(
    {
        "steps": ("faults", "Batches that did not end in one step each, or none taken."),
        "refused": ("faults", "More steps refused than a run may bear."),
        "moved": ("faults", "Parts whose weights did not move, or moved though frozen."),
        "weights": ("faults", "A weight that is no finite number."),
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
"""What an epoch takes of the machine, by name."""

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
    found: dict[str, Measure] = {}
    for name, said in _TERMS.items():
        found[f"loss/{name}"] = Measure("", "min", said)
        found[f"weighted/{name}"] = Measure("", "min", f"Its share of the total loss. {said}")
        found[f"weight/{name}"] = Measure("", "none", f"Its weight in the plan. {said}")
    found |= {f"lr/{part}": Measure("", "none", f"Learning rate of the {part}.") for part in PARTS}
    found |= {f"val/{name}": each for name, each in SCORES.items()}
    found |= {f"best/{name}": each for name, each in SCORES.items()}
    found |= {f"guard/{name}": each for name, each in GUARDS.items()}
    return found | {f"sys/{name}": each for name, each in SYSTEM.items()}


KEYS: Final[Mapping[str, Measure]] = {**_EPOCH, **_grouped()}
"""Every key that may stand in a journal."""
