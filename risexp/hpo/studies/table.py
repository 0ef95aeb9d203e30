"""How a study stands, trial by trial, as plain values: for tables, `--json` and people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from risexp.hpo.search.parameters import read
from risexp.hpo.store.leases import HANGING, Attempt, Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import REASON, StudyRef, end_of
from risexp.space.spec import SearchSpace

TrialWord = Literal["waiting", "running", "complete", "pruned", "failed"]

WORDS: Final[tuple[TrialWord, ...]] = ("complete", "pruned", "failed", "running", "waiting")
"""The states in the order in which people ask for them."""
_WORDS: Final[Mapping[TrialState, TrialWord]] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class TrialRow:
    """A trial as a table shows it."""

    number: int
    state: TrialWord
    reason: str | None
    attempts: int
    epoch: int
    """The last one it has reported; 0 before the first."""
    k_loc: float | None
    """Of that epoch."""
    best: float | None
    """Smallest it has reported."""
    value: float | None
    """Of a complete trial: k_loc of the checkpoint it keeps."""
    values: Mapping[str, JsonValue]
    """What the search chose, by field."""
    seconds: float | None
    """Spent in attempts that have ended; None before the first has."""


@dataclass(frozen=True)
class StudyTable:
    """A study as a table shows it."""

    name: str
    wanted: int
    ended: str | None
    """Why it ended before its trials did."""
    trials: tuple[TrialRow, ...]

    def count(self, state: TrialWord) -> int:
        """How many trials are in a state."""
        return sum(each.state == state for each in self.trials)

    @property
    def done(self) -> int:
        """How many trials have come to their end."""
        return self.count("complete") + self.count("pruned") + self.count("failed")

    @property
    def over(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self.count("waiting") and not self.count("running")

    @property
    def best(self) -> TrialRow | None:
        """The complete trial of the smallest value; the first of equal ones."""
        complete = [each for each in self.trials if each.value is not None]
        return min(complete, key=lambda each: (each.value, each.number), default=None)

    @property
    def lowest(self) -> float | None:
        """Its value."""
        return None if self.best is None else self.best.value

    @property
    def epochs(self) -> int:
        """Reported by all trials together."""
        return sum(each.epoch for each in self.trials)

    def as_json(self) -> dict[str, Any]:
        """The table as plain values."""
        best = self.best
        return {
            "study": self.name,
            "wanted": self.wanted,
            "ended": self.ended,
            "best": None if best is None else best.number,
            "epochs": self.epochs,
            "trials": [asdict(each) for each in self.trials],
        }


def study_table(store: StudyStore, study: StudyRef, space: SearchSpace) -> StudyTable:
    """A study as it stands now."""
    end = end_of(store, study)
    attempts = _attempts(store, study)
    trials = store.storage.get_all_trials(study.id, deepcopy=False)
    # Listed after they were read: none is missing, whoever adds some at this moment.
    ids = {each.number: each.trial_id for each in store.storage.list_trials(study.id)}
    rows = tuple(_row(each, attempts.get(ids[each.number], ()), space) for each in trials)
    return StudyTable(study.name, study.trials, None if end is None else end.reason, rows)


def _attempts(store: StudyStore, study: StudyRef) -> dict[int, list[Attempt]]:
    """The attempts at each trial, by its id."""
    found: dict[int, list[Attempt]] = {}
    for each in Leases(store, study.uid).attempts():
        found.setdefault(each.lease.trial_id, []).append(each)
    return found


def _reason(trial: FrozenTrial, attempts: Sequence[Attempt]) -> str | None:
    """Why it ended; of one that goes on, that its last attempt hung."""
    if trial.state.is_finished():
        return trial.user_attrs.get(REASON)
    ends = [each.ended for each in attempts if each.ended is not None]
    return HANGING if ends[-1:] == [HANGING] else None


def _row(trial: FrozenTrial, attempts: Sequence[Attempt], space: SearchSpace) -> TrialRow:
    reports = trial.intermediate_values
    last = max(reports, default=0)
    spent = [each.ended_at - each.began_at for each in attempts if each.ended_at is not None]
    return TrialRow(
        number=trial.number,
        state=_WORDS[trial.state],
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
    )
