"""Faults of a study's runs in MLflow: I5, and values that differ from the journals."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from risexp.app.doctor.status import StudyStatus
from risexp.app.doctor.study_checks import violation_sentence
from risexp.hpo.trials.invariants import (
    RUN_STATUS,
    RunSnapshot,
    StudySnapshot,
    TrialSnapshot,
    one_run_a_trial,
)
from risexp.tracking.sent_metrics import selected_keys, sent_values
from risexp.tracking.study_run import TrialRun


def wrong_statuses(status: StudyStatus) -> dict[str, tuple[TrialRun, str]]:
    """Runs whose status is not that of their trial, with the right status, by MLflow's run id."""
    right = {trial.number: RUN_STATUS[trial.state] for trial in status.record.trials}
    return {
        run.run_id: (run, right[run.number])
        for run in status.tracked.runs
        if run.number in right.keys() - status.late and run.status != right[run.number]
    }


def wrong_runs(status: StudyStatus) -> list[str]:
    """Violations of I5, except of runs that may be late."""
    if not status.tracked.judged:
        return []
    study, runs = _settled(status)
    wrong = [
        violation_sentence(violation) + _ids(violation.number, status)
        for violation in one_run_a_trial(study, runs)
    ]
    parents = status.tracked.parents
    if len(parents) > 1:
        wrong.append(f"the study itself has {len(parents)} runs ({', '.join(parents)})")
    return wrong


def wrong_metrics(status: StudyStatus) -> list[str]:
    """Values in MLflow that differ from the journals."""
    if not status.tracked.judged:
        return []
    return [
        fault
        for run, expected in _pairs(status)
        for fault in _differences(run, expected, complete=run.number not in status.late)
    ]


def runs_sentence(status: StudyStatus) -> str:
    """Number of runs; empty without a store to judge."""
    if not status.tracked.judged:
        return ""
    late = f"; {len(status.late)} of them may be late" if status.late else ""
    runs = f"{len(status.tracked.runs)} runs{late}"
    return f"one run a trial in MLflow, of its status, each value once: {runs}"


def metrics_sentence(status: StudyStatus) -> str:
    """Number of values in MLflow of runs with a journal; empty without a store to judge."""
    if not status.tracked.judged:
        return ""
    runs = (run for number in status.journals for run in status.tracked.of(number))
    count = sum(len(run.points) for run in runs)
    return f"{count} values in MLflow are those of the journals"


def _ids(number: int | None, status: StudyStatus) -> str:
    """The run ids that MLflow's own commands need, in brackets."""
    if number is None:
        return ""
    folder = status.folders.get(number)
    own = "" if folder is None or folder.progress is None else folder.progress.run_id
    others = [run.run_id for run in status.tracked.of(number) if run.run_id != own]
    parts = [f"{own} is in its mlflow.json"] if own else []
    parts += [f"{', '.join(others)} is not"] if others else []
    return f" ({'; '.join(parts)})" if parts else ""


def _pairs(status: StudyStatus) -> Iterator[tuple[TrialRun, Mapping[tuple[str, int], float]]]:
    """Runs with their expected values by key and epoch."""
    for number, journal in status.journals.items():
        keys = selected_keys(status.folders[number].run.plans())
        expected = {
            (key, row.step): value
            for row in journal.rows
            for key, value in sent_values(row, keys).items()
        }
        yield from ((run, expected) for run in status.tracked.of(number))


def _differences(
    run: TrialRun, expected: Mapping[tuple[str, int], float], *, complete: bool
) -> Iterator[str]:
    start = f"trial {run.number}: MLflow has"
    for point in run.points:
        value = expected.get((point.key, point.step))
        if value is None:
            yield f"{start} {point.key} at epoch {point.step}, and its journal has not"
        elif point.value != value:
            yield f"{start} {point.key} = {point.value} at epoch {point.step}, its journal {value}"
    if complete:
        present = {(point.key, point.step) for point in run.points}
        for key, step in sorted(expected.keys() - present):
            yield f"{start} no {key} at epoch {step}, and its journal has"


def _settled(status: StudyStatus) -> tuple[StudySnapshot, tuple[RunSnapshot, ...]]:
    """Trials and runs for I5: a late run gets its future status, some trials need no run."""
    states = {trial.number: trial.state for trial in status.record.trials}
    late = status.late & states.keys()
    runs = tuple(
        RunSnapshot(
            run.number,
            RUN_STATUS[states[run.number]] if run.number in late else run.status,
            run.rows,
        )
        for run in status.tracked.runs
    )
    present = {run.number for run in runs}
    trials = [
        trial
        for trial in status.record.trials
        if trial.number in present or _needs_run(status, trial)
    ]
    return replace(status.record, trials=tuple(trials)), runs


def _needs_run(status: StudyStatus, trial: TrialSnapshot) -> bool:
    """True if a store must have the run: the trial has data, and is tracked."""
    if trial.number in status.late:
        return False
    folder = status.folders.get(trial.number)
    if folder is not None and folder.store is None:
        return False
    begun = folder is not None and folder.begun
    return begun or bool(trial.reports) or trial.state in {"complete", "pruned"}
