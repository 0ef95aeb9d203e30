"""Whether MLflow says of a study what its trials and journals do: I5, and value by value."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from risexp.app.doctor.check import Check
from risexp.app.doctor.facts import StudyStatus
from risexp.app.doctor.folders import Seen
from risexp.app.doctor.study_case import StableCheck, StudyCase, said_of
from risexp.app.doctor.tracking_data import TrackedStudy
from risexp.hpo.trials.invariants import (
    RUN_STATUS,
    RunSnapshot,
    StudySnapshot,
    TrialSnapshot,
    one_run_a_trial,
)
from risexp.runs.journal import Contents
from risexp.tracking.sent_metrics import selected_keys, sent_values
from risexp.tracking.study_run import TrialRun

_AGAIN: Final = (
    "to send a run anew, `mlflow runs delete --run-id ID`, `mlflow gc --run-ids ID`, move "
    "mlflow.json out of its folder, and `risexp sync NAME`"
)
_RUNS: Final = (
    "`risexp doctor --fix` sets a status; of two runs `mlflow runs delete --run-id ID` deletes the "
    "one whose id is not in the folder's mlflow.json, and of a study's own the one without "
    f"children; `mlflow runs restore --run-id ID` brings one back that was deleted; {_AGAIN}"
)


def record_checks(twice: StableCheck) -> Iterator[Check]:
    """I5, and every value that MLflow has against the journals; nothing without a store."""
    case = twice.first
    if case.found.failure is not None:
        said = f"the record of the study cannot be read: {case.found.failure}"
        yield Check("stores", f"{case.facts.name}: record", "fail", said)
    elif case.found.judged:
        late = f"; {len(case.facts.late)} of them may be late" if case.facts.late else ""
        runs = f"{len(case.found.runs)} runs{late}"
        sound = f"one run a trial in MLflow, of its status, each value once: {runs}"
        yield twice.check("I5", _runs, sound, _RUNS)
        compared = sum(
            (each.key, each.step) in due for run, due in _pairs(case) for each in run.points
        )
        sound = f"{compared} values in MLflow are those of the journals"
        yield twice.check("values", _values, sound, _AGAIN)


def wrong_statuses(facts: StudyStatus, found: TrackedStudy) -> dict[str, tuple[TrialRun, str]]:
    """Runs whose status is not that of their trial by their id, and what it should be."""
    wanted = {each.number: RUN_STATUS[each.state] for each in facts.record.trials}
    return {
        run.run_id: (run, wanted[run.number])
        for run in found.runs
        if run.number in wanted.keys() - facts.late and run.status != wanted[run.number]
    }


def _runs(case: StudyCase) -> list[str]:
    """I5, but for what may be late."""
    study, runs = _settled(case.facts, case.found)
    wrong = [_named(each.number, said_of(each), case) for each in one_run_a_trial(study, runs)]
    if len(case.found.parents) > 1:
        ids = ", ".join(case.found.parents)
        wrong.append(f"the study itself has {len(case.found.parents)} runs ({ids})")
    return wrong


def _named(number: int | None, said: str, case: StudyCase) -> str:
    """A sentence, with the ids that MLflow's own commands need."""
    if number is None:
        return said
    seen = case.facts.folders.get(number)
    mine = "" if seen is None or seen.progress is None else seen.progress.run_id
    others = [each.run_id for each in case.found.of(number) if each.run_id != mine]
    told = [f"{mine} is in its mlflow.json"] if mine else []
    told += [f"{', '.join(others)} is not"] if others else []
    return f"{said} ({'; '.join(told)})" if told else said


def _values(case: StudyCase) -> list[str]:
    """Where the values in MLflow are not those of the journals."""
    return [
        said
        for run, due in _pairs(case)
        for said in _differing(run, due, complete=run.number not in case.facts.late)
    ]


def _pairs(case: StudyCase) -> Iterator[tuple[TrialRun, Mapping[tuple[str, int], float]]]:
    """Every run with what is to be in it."""
    for number, journal in case.journals.items():
        due = _due(case.facts.folders[number], journal)
        yield from ((run, due) for run in case.found.of(number))


def _due(seen: Seen, journal: Contents) -> dict[tuple[str, int], float]:
    """What is to be in MLflow of a run, by key and epoch."""
    keys = selected_keys(seen.run.plans())
    return {
        (key, row.step): value
        for row in journal.rows
        for key, value in sent_values(row, keys).items()
    }


def _differing(
    run: TrialRun, due: Mapping[tuple[str, int], float], *, complete: bool
) -> Iterator[str]:
    said = f"trial {run.number}: MLflow has"
    for each in run.points:
        wanted = due.get((each.key, each.step))
        if wanted is None:
            yield f"{said} {each.key} at epoch {each.step}, and its journal has not"
        elif each.value != wanted:
            yield f"{said} {each.key} = {each.value} at epoch {each.step}, its journal {wanted}"
    if complete:
        there = {(each.key, each.step) for each in run.points}
        for key, step in sorted(due.keys() - there):
            yield f"{said} no {key} at epoch {step}, and its journal has"


def _settled(
    facts: StudyStatus, found: TrackedStudy
) -> tuple[StudySnapshot, tuple[RunSnapshot, ...]]:
    """Trials and runs as I5 may judge them: a record may be late, and some trials need none."""
    states = {each.number: each.state for each in facts.record.trials}
    runs = tuple(
        RunSnapshot(
            run.number,
            # Of a late one the status is what it will be.
            RUN_STATUS[states[run.number]]
            if run.number in facts.late & states.keys()
            else run.status,
            run.rows,
        )
        for run in found.runs
    )
    there = {run.number for run in runs}
    trials = [
        each for each in facts.record.trials if each.number in there or _needs_run(facts, each)
    ]
    return replace(facts.record, trials=tuple(trials)), runs


def _needs_run(facts: StudyStatus, trial: TrialSnapshot) -> bool:
    """Whether there has to be a run: something was written down, and it is to be in a store."""
    if trial.number in facts.late:
        return False
    seen = facts.folders.get(trial.number)
    if seen is not None and seen.store is None:
        return False
    begun = seen is not None and seen.begun
    return begun or bool(trial.reports) or trial.state in {"complete", "pruned"}
