"""Builds a study's pruner: one of Optuna's, silent until the warm-up is over."""

from dataclasses import dataclass

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from risexp.hpo.search.optuna_registry import make_pruner
from risexp.hpo.search.warmup import Pruning
from risexp.space.pruners import Patient, PrunerSection, WarmupSection


def build_pruner(pruning: Pruning) -> BasePruner:
    """The pruner of a study, whose trials report their epochs by number, from 1 on."""
    return _build(pruning.spec, pruning)


def _build(section: PrunerSection, pruning: Pruning) -> BasePruner:
    inner = _build(section.pruner, pruning) if isinstance(section, Patient) else None
    last = max(pruning.epochs, pruning.first)
    pruner = make_pruner(section, {"first": pruning.first, "last": last, "inner": inner})
    waits = "first" in section.sources.values() or not isinstance(section, WarmupSection)
    return pruner if waits else WarmupPruner(pruner, pruning.warmup)


@dataclass(frozen=True)
class WarmupPruner(BasePruner):
    """Uses another pruner once a trial's warm-up is over."""

    pruner: BasePruner
    warmup: int
    """Number of epochs in which no trial is ended."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end."""
        step = trial.last_step
        return step is not None and step > self.warmup and self.pruner.prune(study, trial)
