from dataclasses import replace
from typing import Any

from risexp.hpo.trials.invariants import (
    RunSnapshot,
    State,
    StudySnapshot,
    TrialSnapshot,
    Violation,
    every,
    one_run_a_trial,
    undisturbed,
)


def trial(number: int, state: State = "complete", *, steps: int = 3) -> TrialSnapshot:
    """A sound trial."""
    return TrialSnapshot(
        number=number,
        slot=number,
        state=state,
        value=0.5 if state == "complete" else None,
        reason="finished",
        reports={step: 1.0 / step for step in range(1, steps + 1)},
        parameters={"x": 0.5},
        tried={1: {"x": 0.5}, 2: {"x": 0.5}},
        held=False,
    )


SOUND = StudySnapshot(
    "toy", 4, (trial(0), trial(1, "pruned"), trial(2, "failed", steps=0), trial(3))
)


def having(number: int, **changes: Any) -> StudySnapshot:  # noqa: ANN401 - of any field
    """The sound study with one trial changed."""
    trials = [replace(each, **changes) if each.number == number else each for each in SOUND.trials]
    return replace(SOUND, trials=tuple(trials))


def test_every_violation_is_noticed_and_named() -> None:
    cases: list[tuple[StudySnapshot, list[tuple[str, int | None]]]] = [
        (SOUND, []),
        (replace(SOUND, wanted=6), [("I1", None)]),
        (replace(SOUND, trials=SOUND.trials[1:]), [("I1", None)]),
        (replace(SOUND, trials=(*SOUND.trials, trial(3))), [("I1", None)]),
        (having(1, state="running"), [("I2", 1)]),
        (replace(having(1, state="running"), left=frozenset({1})), [("I2", 1)]),
        (replace(having(1, state="waiting"), left=frozenset({1})), []),
        (having(0, held=True), [("I2", 0)]),
        (having(0, reports={}), [("I3", 0)]),
        (having(0, reports={1: 1.0, 3: 0.5}), [("I3", 0)]),
        (having(0, reports={0: 1.0, 1: 0.5}), [("I3", 0)]),
        (having(1, reports={2: 1.0}), []),
        (having(2, tried={1: {"x": 0.5}, 2: {"x": 0.25}}), [("I4", 2)]),
        (having(2, parameters={"x": 0.25}), [("I4", 2), ("I4", 2)]),
        (replace(SOUND, trials=(*SOUND.trials, replace(trial(4), slot=None))), []),
    ]

    for study, violations in cases:
        assert violations == [(each.rule, each.number) for each in every(study)]


def test_the_number_of_missing_trials_is_named() -> None:
    assert [Violation("I1", None, "no trial has slot 4 (2 of them)")] == every(
        replace(SOUND, wanted=6)
    )


STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
RUNS = tuple(
    RunSnapshot(each.number, STATUS[each.state], {("val/k_loc", 1): 1, ("val/k_loc", 2): 1})
    for each in SOUND.trials
)


def test_every_trial_has_one_run_of_its_status_and_one_row_a_step() -> None:
    cases: list[tuple[tuple[RunSnapshot, ...], list[int]]] = [
        (RUNS, []),
        (RUNS[1:], [0]),
        ((*RUNS, RUNS[0]), [0]),
        ((*RUNS, RunSnapshot(9, "FINISHED", {})), [9]),
        ((replace(RUNS[0], status="RUNNING"), *RUNS[1:]), [0]),
        ((replace(RUNS[0], rows={("val/k_loc", 1): 2}), *RUNS[1:]), [0]),
    ]

    for runs, numbers in cases:
        violations = [*one_run_a_trial(SOUND, runs)]
        assert [("I5", number) for number in numbers] == [
            (each.rule, each.number) for each in violations
        ]


def test_a_trial_that_was_never_begun_needs_no_run() -> None:
    waiting = having(3, state="waiting", tried={}, reports={})

    assert [] == [*one_run_a_trial(waiting, RUNS[:3])]


def test_a_value_is_that_of_the_undisturbed_run_to_the_last_bit() -> None:
    assert [] == [*undisturbed(SOUND, {0: 0.5, 3: 0.5, 9: 0.1})]
    assert [3] == [each.number for each in undisturbed(SOUND, {0: 0.5, 3: 0.5 + 2**-53})]
