import math

import pytest

from risexp.hpo.trials.trial_result import TrialResult, trial_result, unsound
from risexp.runs.outcome import complete


def test_a_complete_run_needs_a_finite_score() -> None:
    done = complete("finished", 20)

    assert TrialResult("failed", "no-score") == trial_result(done, None)
    for value in (math.nan, math.inf, -math.inf):
        assert unsound("non-finite") == trial_result(done, value)


def test_a_contradictory_result_cannot_be_made() -> None:
    constraints: dict[str, float]
    for state, value, constraints in (
        ("complete", None, {}),
        ("complete", math.nan, {}),
        ("pruned", 1e6, {}),
        ("pruned", None, {"collapse": math.inf}),
    ):
        with pytest.raises(ValueError, match=r"is none|is not finite"):
            TrialResult(state, "reason", value, constraints)  # type: ignore[arg-type]
