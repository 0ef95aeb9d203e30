import math
import signal

import pytest

from risexp.errors import ConfigInvalid, EnvironmentFailed, TrainingAborted
from risexp.hpo.trials.heartbeat import fenced
from risexp.hpo.trials.trial_result import TrialResult, trial_result, unsound
from risexp.runs.outcome import aborted, complete, failed, pruned, signalled


def test_the_outcome_of_a_run_decides_the_result_of_its_trial() -> None:
    results = {
        complete("early-stop", 12): TrialResult("complete", "early-stop", 3.5),
        pruned("worse than the median"): TrialResult("pruned", "pruned"),
        aborted(TrainingAborted("at chance", guard="chance")): unsound("chance"),
        failed(ConfigInvalid("no such run")): TrialResult("failed", "ConfigInvalid"),
    }

    assert [*results.values()] == [trial_result(outcome, 3.5) for outcome in results]


def test_a_run_that_can_continue_leaves_its_trial_open() -> None:
    outcomes = (
        signalled(signal.SIGTERM),
        failed(EnvironmentFailed("the disk is full")),
        fenced("another worker has it"),
    )

    assert [None] * 3 == [trial_result(outcome, 3.5) for outcome in outcomes]


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
