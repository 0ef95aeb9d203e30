"""Whether MLflow says of a study what its trials and journals do: I5, and value by value."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from risexp.app.doctor.check import Check, judged
from risexp.app.doctor.facts import StudyFacts
from risexp.app.doctor.folders import Seen
from risexp.app.doctor.stores import Destinations
from risexp.app.doctor.study import said_of
from risexp.hpo.invariants import RUN_STATUS, RunRecord, StudyRecord, TrialRecord, one_run_a_trial
from risexp.tracking.border import Failure
from risexp.tracking.lines import Contents
from risexp.tracking.reading import StudyRuns, TrialRun
from risexp.tracking.selection import selected_keys, sent_values
from risexp.tracking.stores import Store, chosen_store

if TYPE_CHECKING:
    from risexp.tracking.mlflow import Runs


class Read(Protocol):
    """How much is read of a study."""

    def __call__(self, runs: "Runs", /, *, name: str, uid: str) -> StudyRuns:
        """Read it."""


_AGAIN: Final = (
    "see the run in MLflow; where it is not to be kept, delete it there, move mlflow.json out of "
    "the trial's folder, and `risexp sync` sends it anew"
)


@dataclass(frozen=True)
class Recorded:
    """What the stores of a study hold of it."""

    places: Mapping[str, Store] = field(default_factory=dict)
    """Where each run is, by its id there."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Status of the study's own run, by its id; there should be one."""
    runs: tuple[TrialRun, ...] = ()
    """Of its trials."""
    judged: bool = False
    """Whether there is a record that can be read and judged."""
    failure: str | None = None
    """Why a store did not answer."""

    def of(self, number: int) -> tuple[TrialRun, ...]:
        """The runs of a trial."""
        return tuple(each for each in self.runs if each.number == number)


def recorded(facts: StudyFacts, destinations: Destinations, read: Read) -> Recorded:
    """Read what there is of a study in every store that its folders name.

    Args:
        facts: Of the study.
        destinations: Where to ask.
        read: `study_runs`, or `study_rows` where numbers are needed too.
    """
    question = partial(read, name=facts.name, uid=facts.study.uid)
    places, parents, runs = dict[str, Store](), dict[str, str](), list[TrialRun]()
    answered = False
    for store in _stores(facts):
        answer = destinations.ask(store, question)
        if isinstance(answer, Failure):
            return Recorded(failure=answer.sentence)
        if answer is not None:
            answered = True
            parents |= answer.parents
            runs += answer.trials
            places |= dict.fromkeys(
                [*answer.parents, *(each.run_id for each in answer.trials)], store
            )
    # Whoever searched elsewhere without a record left nothing here to be judged.
    judged_ = answered and bool(facts.folders or runs)
    return Recorded(places, parents, tuple(runs), judged_)


def record_checks(
    facts: StudyFacts, found: Recorded, journals: Mapping[int, Contents]
) -> Iterator[Check]:
    """I5, and every value that MLflow has against the journals; nothing without a store.

    Args:
        facts: Of the study.
        found: What its stores hold of it.
        journals: Of its trials, by their number.
    """
    if found.failure is not None:
        said = f"the record of the study cannot be read: {found.failure}"
        yield Check("stores", f"{facts.name}: record", "fail", said)
    elif found.judged:
        yield one_run_check(facts, found)
        yield value_check(facts, found, journals)


def one_run_check(facts: StudyFacts, found: Recorded) -> Check:
    """I5, but for what may be late."""
    study, runs = _settled(facts, found)
    wrong = [said_of(each) for each in one_run_a_trial(study, runs)]
    if len(found.parents) > 1:
        wrong.append(f"the study itself has {len(found.parents)} runs")
    late = f"; {len(facts.late)} of them may be late" if facts.late else ""
    sound = f"one run a trial in MLflow, of its status, each value once: {len(runs)} runs{late}"
    statuses = any("trial's run is" in each for each in wrong)
    advice = "`risexp doctor --fix` sets what a run's status is; else " if statuses else ""
    return judged("studies", f"{facts.name}: I5", wrong, sound, f"{advice}{_AGAIN}")


def wrong_statuses(facts: StudyFacts, found: Recorded) -> list[tuple[TrialRun, str]]:
    """Runs whose status is not that of their trial, and what it should be."""
    wanted = {each.number: RUN_STATUS[each.state] for each in facts.record.trials}
    return [
        (run, wanted[run.number])
        for run in found.runs
        if run.number in wanted.keys() - facts.late and run.status != wanted[run.number]
    ]


def value_check(facts: StudyFacts, found: Recorded, journals: Mapping[int, Contents]) -> Check:
    """Whether the values in MLflow are those of the journals."""
    wrong, compared = list[str](), 0
    for number, journal in journals.items():
        for run in found.of(number):
            due = due_values(facts.folders[number], journal)
            wrong += _differing(run, due, complete=number not in facts.late)
            compared += sum((each.key, each.step) in due for each in run.points)
    sound = f"{compared} values in MLflow are those of the journals"
    return judged("studies", f"{facts.name}: values", wrong, sound, _AGAIN)


def due_values(seen: Seen, journal: Contents) -> dict[tuple[str, int], float]:
    """What is to be in MLflow of a run, by key and epoch."""
    keys = selected_keys(seen.spool.plans())
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


def _stores(facts: StudyFacts) -> Iterable[Store]:
    """Every store that the study is recorded in, each once."""
    if not facts.folders:
        chosen = chosen_store(None)
        return () if chosen is None else (chosen,)
    stores = [seen.store for seen in facts.folders.values()]
    return {store.name: store for store in stores if store is not None}.values()


def _settled(facts: StudyFacts, found: Recorded) -> tuple[StudyRecord, tuple[RunRecord, ...]]:
    """Trials and runs as I5 may judge them: a record may be late, and some trials need none."""
    states = {each.number: each.state for each in facts.record.trials}
    runs = tuple(
        RunRecord(
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


def _needs_run(facts: StudyFacts, trial: TrialRecord) -> bool:
    """Whether there has to be a run: something was written down, and it is to be in a store."""
    if trial.number in facts.late:
        return False
    seen = facts.folders.get(trial.number)
    if seen is not None and seen.store is None:
        return False
    begun = seen is not None and seen.begun
    return begun or bool(trial.reports) or trial.state in {"complete", "pruned"}
