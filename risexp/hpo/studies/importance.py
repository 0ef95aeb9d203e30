"""Importance of the searched fields for the scores of a study (fANOVA)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import optuna
from optuna.trial import TrialState

from risexp.hpo.search.optuna_registry import experimental
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef

LEAST: Final = 8
"""Complete trials that the importance takes."""
_TREES, _FEWEST, _WHOLE = 64, 8, 100
"""Trees up to so many complete trials, then fewer: the time of one grows with the trials."""
_EACH: Final = 3
"""Complete trials for each field from which the order of all fields is reliable."""


@dataclass(frozen=True)
class Importance:
    """The share of the scores' variance that each field explains (fANOVA over random trees)."""

    shares: Mapping[str, float] = field(default_factory=dict)
    """By field, the largest first; they sum to one. Only of fields that all trials have."""
    trials: int = 0
    """Complete ones."""
    doubt: str | None = None
    """Why there are no shares, or why they are unreliable."""

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**vars(self), "shares": dict(self.shares)}


def importance(store: StudyStore, study: StudyRef) -> Importance:
    """The importance of each field that all complete trials have: same trials, same answer."""
    with experimental():
        handle = optuna.load_study(study_name=study.name, storage=store.storage)
        complete = handle.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        count = len(complete)
        if count < LEAST:
            few = (
                f"{count} complete trials are too few to tell which field mattered: it takes "
                f"{LEAST} at least, and better three a field"
            )
            return Importance(trials=count, doubt=few)
        if len({each.value for each in complete}) == 1 or not _varied(complete):
            same = "all complete trials have the same score or values"
            return Importance(trials=count, doubt=same)
        # Its forest takes longer to load than most studies to be read.
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        trees = max(_FEWEST, min(_TREES, _TREES * _WHOLE // count))
        evaluator = FanovaImportanceEvaluator(n_trees=trees, seed=0)
        shares = get_param_importances(handle, evaluator=evaluator)
    doubt = None
    if count < _EACH * len(shares):
        doubt = (
            f"{count} complete trials of {len(shares)} fields: only that the first ones matter can "
            "be read off this, not the order of the others"
        )
    return Importance(dict(shares), count, doubt)


def _varied(trials: "list[optuna.trial.FrozenTrial]") -> bool:
    """True if the trials have a common field whose values differ."""
    common = set.intersection(*(set(each.params) for each in trials))
    return any(len({str(each.params[name]) for each in trials}) > 1 for name in common)
