"""What a study's trials had and scored, as plain values."""

from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

from risexp.hpo.search.distributions import read
from risexp.space.shrink import Ended
from risexp.space.spec import SearchSpace

_SCORED = (TrialState.COMPLETE, TrialState.PRUNED)


def ended_trials(space: SearchSpace, trials: Iterable[FrozenTrial]) -> list[Ended]:
    """The trials that were complete or pruned, in their order.

    Args:
        space: What they were drawn from.
        trials: Of a study.
    """
    return [
        Ended(
            values={
                path: read(space.vary[path], kept)
                for path, kept in each.params.items()
                if path in space.vary
            },
            score=each.value if each.state == TrialState.COMPLETE else None,
        )
        for each in trials
        if each.state in _SCORED
    ]
