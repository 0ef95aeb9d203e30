import math

import pytest

from risexp.hpo.trials.trial_result import TrialResult


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
