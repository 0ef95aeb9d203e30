"""Invariants of every study, however many workers were killed: checks of its snapshots."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Rule = Literal["I1", "I2", "I3", "I4", "I5", "I6"]
State = Literal["waiting", "running", "complete", "pruned", "failed"]

FINAL: Final = frozenset({"complete", "pruned", "failed"})

RUN_STATUS: Final[Mapping[State, str]] = {
    "waiting": "RUNNING",
    "running": "RUNNING",
    "complete": "FINISHED",
    "pruned": "KILLED",
    "failed": "FAILED",
}
"""Status of a trial's run in the tracking store, by the trial's state."""


@dataclass(frozen=True)
class TrialSnapshot:
    """A trial in its study."""

    number: int
    slot: int | None
    """Its place in the budget; None for a trial that another tool has added."""
    state: State
    value: float | None
    reason: str | None
    reports: Mapping[int, float]
    parameters: Mapping[str, Any]
    tried: Mapping[int, Mapping[str, Any]]
    """Parameters by attempt, for attempts that recorded them."""
    held: bool
    """Whether an attempt lives."""


@dataclass(frozen=True)
class StudySnapshot:
    """A study in its store."""

    name: str
    wanted: int
    """Number of trials in the budget."""
    trials: tuple[TrialSnapshot, ...]
    left: frozenset[int] = frozenset()
    """Numbers of the trials that the end of the study left waiting."""


@dataclass(frozen=True)
class RunSnapshot:
    """A run in the tracking store."""

    number: int
    """Number of its trial."""
    status: str
    rows: Mapping[tuple[str, int], int]
    """Number of rows by key and step."""


@dataclass(frozen=True)
class Violation:
    """A violated invariant."""

    rule: Rule
    number: int | None
    """Number of the trial; None for the study itself."""
    sentence: str


def every(study: StudySnapshot) -> list[Violation]:
    """I1 to I4, for a study without workers."""
    return [*budget(study), *finality(study), *reporting(study), *constancy(study)]


def budget(study: StudySnapshot) -> Iterator[Violation]:
    """I1: there are as many trials as the budget has slots, one in each."""
    slots = Counter(trial.slot for trial in study.trials if trial.slot is not None)
    missing = sorted(set(range(study.wanted)) - slots.keys())
    if missing:
        yield Violation("I1", None, f"no trial has slot {missing[0]} ({len(missing)} of them)")
    for slot, trials in slots.items():
        if trials > 1:
            yield Violation("I1", None, f"{trials} trials have slot {slot}")


def finality(study: StudySnapshot) -> Iterator[Violation]:
    """I2: every trial is final, or waits and is named in the end of the study."""
    for trial in study.trials:
        if trial.held:
            yield Violation("I2", trial.number, f"an attempt at a {trial.state} trial lives")
        elif trial.state not in FINAL and (trial.state, trial.number in study.left) != (
            "waiting",
            True,
        ):
            yield Violation("I2", trial.number, f"it is {trial.state}, and nothing says why")


def reporting(study: StudySnapshot) -> Iterator[Violation]:
    """I3: a complete trial has reported the steps 1, 2, ... to its last one."""
    for trial in study.trials:
        steps = sorted(trial.reports)
        if trial.state != "complete":
            continue
        if not steps:
            yield Violation("I3", trial.number, "it never reported, so nothing could be pruned")
        elif steps != list(range(1, len(steps) + 1)):
            yield Violation("I3", trial.number, f"it reported steps {steps}")


def constancy(study: StudySnapshot) -> Iterator[Violation]:
    """I4: all attempts at a trial had its parameters."""
    for trial in study.trials:
        for attempt, parameters in trial.tried.items():
            if parameters != trial.parameters:
                yield Violation("I4", trial.number, f"attempt {attempt} had other parameters")


def one_run_a_trial(study: StudySnapshot, runs: tuple[RunSnapshot, ...]) -> Iterator[Violation]:
    """I5: every trial that was begun has one run, with its status and one row a step."""
    counts = Counter(run.number for run in runs)
    states = {trial.number: trial.state for trial in study.trials}
    for trial in study.trials:
        begun = bool(trial.tried) or trial.state in FINAL
        if begun and counts[trial.number] != 1:
            yield Violation("I5", trial.number, f"it has {counts[trial.number]} runs")
    for run in runs:
        state = states.get(run.number)
        if state is None:
            yield Violation("I5", run.number, "a run belongs to no trial")
        elif run.status != RUN_STATUS[state]:
            yield Violation("I5", run.number, f"a {state} trial's run is {run.status}")
        for (key, step), rows in run.rows.items():
            if rows != 1:
                yield Violation("I5", run.number, f"{key} has {rows} rows at step {step}")


def undisturbed(study: StudySnapshot, reference: Mapping[int, float]) -> Iterator[Violation]:
    """I6: the value is, bit for bit, that of the same trial in an undisturbed study."""
    for trial in study.trials:
        wanted = reference.get(trial.number)
        if wanted is not None and trial.value != wanted:
            yield Violation("I6", trial.number, f"its value is {trial.value}, not {wanted}")
