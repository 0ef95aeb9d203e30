"""From how a run ended to what its study is told: the one table."""

import math

from risexp.hpo.trials.trial_result import NON_FINITE, TrialResult, unsound
from risexp.runs.outcome import Outcome


def trial_result(outcome: Outcome, value: float | None) -> TrialResult | None:
    """What the study is told of a run that ended so.

    Args:
        outcome: Of the run.
        value: The score of the checkpoint it keeps; None where it keeps none.

    Returns:
        None where the trial goes on later: it is released, or given up where the machine failed.
    """
    if outcome.status == "complete":
        return _complete(outcome.reason, value)
    if outcome.status == "pruned":
        return TrialResult("pruned", outcome.reason)
    if outcome.status == "aborted":
        return unsound(outcome.reason)
    if outcome.resumable:
        return None
    return TrialResult("failed", outcome.reason)


def _complete(reason: str, value: float | None) -> TrialResult:
    if value is None:
        return TrialResult("failed", "no-score")
    return TrialResult("complete", reason, value) if math.isfinite(value) else unsound(NON_FINITE)
