"""The state of a study, trial by trial, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from risexp.hpo.search.parameters import read
from risexp.hpo.store.leases import Attempt, End, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.hosts import waiting_hosts
from risexp.hpo.studies.study import REASON, STATES, StudyRef, TrialWord, end_of
from risexp.space.spec import SearchSpace

WORDS: Final[tuple[TrialWord, ...]] = ("complete", "pruned", "failed", "running", "waiting")
"""The states in the order of their counts in a summary."""
_FAULTS: Final[tuple[End, ...]] = ("died", "hung", "lost", "environment", "preempted")
"""Ends of an attempt that are told of a trial which waits or runs."""


@dataclass(frozen=True)
class TrialRow:
    """The state of a trial."""

    number: int
    state: TrialWord
    reason: str | None
    attempts: int
    epoch: int
    """The last reported one; 0 before the first."""
    k_loc: float | None
    """Of that epoch."""
    best: float | None
    """The smallest reported k_loc."""
    value: float | None
    """Of a complete trial: k_loc of the checkpoint that its run keeps."""
    values: Mapping[str, JsonValue]
    """Searched values, by field."""
    seconds: float | None
    """Spent in ended attempts; None before the first has ended."""
    ends: tuple[str, ...] = ()
    """How its ended attempts ended, the first one first."""


@dataclass(frozen=True)
class StudyTable:
    """The state of a study."""

    name: str
    wanted: int
    ended: str | None
    """Why it ended before its trials did."""
    trials: tuple[TrialRow, ...]
    waits: Mapping[str, str] = field(default_factory=dict)
    """Why hosts claim no trial, by host."""

    def count(self, state: TrialWord) -> int:
        """Number of trials in a state."""
        return sum(row.state == state for row in self.trials)

    def states(self) -> str:
        """Number of trials in every state that occurs."""
        return ", ".join(f"{self.count(word)} {word}" for word in WORDS if self.count(word))

    @property
    def done(self) -> int:
        """Number of finished trials."""
        return self.count("complete") + self.count("pruned") + self.count("failed")

    @property
    def over(self) -> bool:
        """True if no trial waits or runs."""
        return not self.count("waiting") and not self.count("running")

    @property
    def best(self) -> TrialRow | None:
        """The complete trial of the smallest value; the first of equal ones."""
        complete = [row for row in self.trials if row.value is not None]
        return min(complete, key=lambda row: (row.value, row.number), default=None)

    @property
    def lowest(self) -> float | None:
        """The value of the best trial."""
        return None if self.best is None else self.best.value

    @property
    def epochs(self) -> int:
        """Epochs that all trials together have reported."""
        return sum(row.epoch for row in self.trials)

    def as_json(self) -> dict[str, Any]:
        """The table as plain values."""
        best = self.best
        return {
            "study": self.name,
            "wanted": self.wanted,
            "ended": self.ended,
            "best": None if best is None else best.number,
            "epochs": self.epochs,
            "trials": [{**asdict(row), "ends": list(row.ends)} for row in self.trials],
            "waits": dict(self.waits),
        }


def study_table(store: StudyStore, study: StudyRef) -> StudyTable:
    """The present state of a study."""
    end = end_of(store, study)
    attempts: dict[int, list[Attempt]] = {}
    for attempt in Leases(store, study.uid).attempts():
        attempts.setdefault(attempt.lease.trial_id, []).append(attempt)
    trials = store.storage.get_all_trials(study.id, deepcopy=False)
    # Listed after they were read: a trial that is added meanwhile is not missing.
    ids = {trial.number: trial.trial_id for trial in store.storage.list_trials(study.id)}
    rows = tuple(
        _row(trial, attempts.get(ids[trial.number], ()), study.spec.space) for trial in trials
    )
    reason = None if end is None else end.reason
    return StudyTable(study.name, study.trials, reason, rows, waiting_hosts(store, study))


def _reason(trial: FrozenTrial, attempts: Sequence[Attempt]) -> str | None:
    """Why a trial finished; of an unfinished one, what became of its last attempt."""
    if trial.state.is_finished():
        return trial.user_attrs.get(REASON)
    ends = [attempt.ended for attempt in attempts if attempt.ended is not None]
    return ends[-1] if ends and ends[-1] in _FAULTS else None


def _row(trial: FrozenTrial, attempts: Sequence[Attempt], space: SearchSpace) -> TrialRow:
    reports = trial.intermediate_values
    last = max(reports, default=0)
    spent = [
        attempt.ended_at - attempt.began_at for attempt in attempts if attempt.ended_at is not None
    ]
    return TrialRow(
        number=trial.number,
        state=STATES[trial.state],
        reason=_reason(trial, attempts),
        attempts=len(attempts),
        epoch=last,
        k_loc=reports.get(last),
        best=min(reports.values(), default=None),
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        values={
            path: read(space.vary[path], kept)
            for path, kept in trial.params.items()
            if path in space.vary
        },
        seconds=sum(spent) if spent else None,
        ends=tuple(attempt.ended for attempt in attempts if attempt.ended is not None),
    )
