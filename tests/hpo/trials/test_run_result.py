import signal

import pytest

from risexp.errors import ConfigInvalid, EnvironmentFailed, TrainingAborted
from risexp.hpo.trials.lease_guard import fenced
from risexp.hpo.trials.run_result import trial_result
from risexp.hpo.trials.trial_result import TrialResult, unsound
from risexp.runs.outcome import Outcome, aborted, complete, failed, pruned, signalled

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        (complete("finished", 20), TrialResult("complete", "finished", 3.5)),
        (complete("early-stop", 12), TrialResult("complete", "early-stop", 3.5)),
        (pruned("worse than the median"), TrialResult("pruned", "pruned")),
        (aborted(TrainingAborted("at chance", guard="chance")), unsound("chance")),
        (failed(ValueError("a bug")), TrialResult("failed", "ValueError")),
        (failed(ConfigInvalid("no such run")), TrialResult("failed", "ConfigInvalid")),
    ],
    ids=lambda each: each.reason,
)
def test_a_run_ends_its_trial(outcome: Outcome, ending: TrialResult) -> None:
    assert ending == trial_result(outcome, 3.5)


@pytest.mark.parametrize(
    "outcome",
    [
        signalled(signal.SIGTERM),
        signalled(signal.SIGINT),
        failed(EnvironmentFailed("the disk is full")),
        fenced("somebody else has it"),
    ],
    ids=lambda each: each.reason,
)
def test_a_run_that_can_go_on_leaves_its_trial_open(outcome: Outcome) -> None:
    assert trial_result(outcome, 3.5) is None


def test_a_complete_run_without_a_score_is_none() -> None:
    assert TrialResult("failed", "no-score") == trial_result(complete("finished", 20), None)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_score_that_is_no_finite_number_prunes_with_a_constraint(value: float) -> None:
    assert unsound("non-finite") == trial_result(complete("finished", 20), value)


@pytest.mark.parametrize(
    ("state", "value", "constraints"),
    [
        ("complete", None, {}),
        ("complete", NAN, {}),
        ("complete", INF, {}),
        ("pruned", 1e6, {}),
        ("failed", 1e6, {}),
        ("pruned", None, {"collapse": NAN}),
        ("pruned", None, {"collapse": INF}),
    ],
)
def test_an_ending_that_would_lie_cannot_be_said(
    state: str, value: float | None, constraints: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=r"is none|is not finite"):
        TrialResult(state, "reason", value, constraints)  # type: ignore[arg-type]
