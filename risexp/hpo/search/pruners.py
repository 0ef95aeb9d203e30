"""What ends a trial early: one of Optuna's pruners, silent until the warm-up is over."""

from dataclasses import dataclass, replace
from typing import Any

from optuna.pruners import BasePruner, PatientPruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from risexp.hpo.search.optuna_registry import experimental, named_pruner
from risexp.hpo.search.pruning import Pruning
from risexp.space.pruners import (
    Asha,
    Hyperband,
    Median,
    NoPruner,
    OtherPruner,
    Patient,
    Percentile,
)


def build_pruner(pruning: Pruning) -> BasePruner:
    """The pruner of a study, whose trials report their epochs by number, from 1 on.

    Raises:
        SpaceInvalid: The space names a pruner that cannot be used.
    """
    match pruning.spec:
        case Patient() as spec:
            asked = build_pruner(replace(pruning, spec=spec.pruner))
            with experimental():
                return PatientPruner(asked, spec.patience, spec.least_gain)
        case OtherPruner() as spec:
            return WarmupPruner(named_pruner(spec.name, spec.options), pruning.warmup)
        case spec:
            return named_pruner(*_named(spec, pruning))


def _named(
    spec: Median | Percentile | Asha | Hyperband | NoPruner, pruning: Pruning
) -> tuple[str, dict[str, Any]]:
    """The name of a pruner, and its options."""
    match spec:
        case Median() | Percentile():
            options: dict[str, Any] = {
                "n_startup_trials": spec.startup,
                "n_warmup_steps": pruning.first,
                "interval_steps": spec.interval,
                "n_min_trials": spec.least,
            }
            if isinstance(spec, Median):
                return "MedianPruner", options
            return "PercentilePruner", options | {"percentile": spec.percentile}
        case Asha():
            rungs = {"min_resource": pruning.first, "reduction_factor": spec.reduction}
            return "SuccessiveHalvingPruner", rungs
        case Hyperband():
            rungs = {"min_resource": pruning.first, "reduction_factor": spec.reduction}
            last = max(pruning.epochs, pruning.first)
            return "HyperbandPruner", {**rungs, "max_resource": last}
        case NoPruner():
            return "NopPruner", {}


@dataclass(frozen=True)
class WarmupPruner(BasePruner):
    """Asks another pruner once a trial's warm-up is over."""

    pruner: BasePruner
    warmup: int
    """Epochs in which it is not asked."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end."""
        step = trial.last_step
        return step is not None and step > self.warmup and self.pruner.prune(study, trial)
