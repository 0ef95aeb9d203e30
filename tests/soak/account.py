"""What a soak came to: epochs needed and trained, recoveries, time a trial, trends."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risexp.hpo.store.leases import Attempt
from risexp.runs.journal import STARTED, Note, read_journal
from tests.soak.faults import Kill
from tests.soak.gauges import Trend
from tests.soak.stage import Stage
from tests.support.oracle import Ledger


@dataclass(frozen=True)
class Effort:
    """Epochs of a search."""

    needed: int
    """Kept in the end."""
    again: int
    """Recorded, and trained again nevertheless."""
    cut: int
    """Attempts that ended amid an epoch: as many epochs at most."""

    @property
    def goodput(self) -> float:
        """Lower bound of the share of trained epochs that were needed."""
        return self.needed / max(self.needed + self.again + self.cut, 1)


def effort_of(stage: Stage, attempts: Sequence[Attempt]) -> Effort:
    """Epochs of all runs, from their journals."""
    needed = again = 0
    for path in sorted((stage.home / "mlruns" / "runs").glob("*/journal.jsonl")):
        steps, last = set[int](), 0
        for line in read_journal(path).lines:
            if not isinstance(line, Note):
                steps.add(line.step)
                last = line.step
            elif line.event == STARTED:
                again += max(last - line.step, 0)
                last = line.step
        needed += len(steps)
    return Effort(needed, again, sum(each.ended != "finished" for each in attempts))


def recoveries(attempts: Sequence[Attempt], kills: Sequence[Kill], *, seen: bool) -> list[float]:
    """Seconds from each kill to the next attempt at its trial."""
    began = {(each.lease.trial_id, each.lease.attempt): each.began_at for each in attempts}
    found = (
        began.get((kill.trial_id, kill.attempt + 1), 0.0) - kill.at
        for kill in kills
        if kill.seen == seen
    )
    return sorted(seconds for seconds in found if seconds > 0.0)


def quantile(times: Sequence[float], share: float) -> float:
    """The smallest time that a share of all is not longer than; NaN of none."""
    return times[max(math.ceil(len(times) * share), 1) - 1] if times else math.nan


def span_s(attempts: Sequence[Attempt]) -> float:
    """From the first attempt to the last end."""
    ends = [each.ended_at for each in attempts if each.ended_at is not None]
    return max(ends) - min(each.began_at for each in attempts)


def ends_of(attempts: Sequence[Attempt]) -> Counter[str]:
    """How the attempts ended."""
    return Counter(each.ended or "living" for each in attempts)


@dataclass(frozen=True)
class Account:
    """All figures of a soak."""

    minutes: float
    disturbed_minutes: float
    faults: Mapping[str, int]
    """Injected ones, by class."""
    states: Mapping[str, int]
    """Trials by state."""
    ends: Mapping[str, int]
    """Attempts by their ends."""
    ledger: Ledger
    effort: Effort
    trial_s: float
    """Wall time a trial, all workers together."""
    undisturbed_s: float
    """The same in a search without faults."""
    seen_s: Sequence[float]
    """Times from kills that a supervisor saw to the next attempt."""
    unseen_s: Sequence[float]
    """The same where a lease had to run out."""
    codes: Mapping[str, Sequence[int]]
    """Exit codes of every program."""
    trends: Sequence[Trend]
    remarks: Sequence[str]
    """What the doctor does not call ok."""

    def as_json(self) -> dict[str, Any]:
        """The figures, rounded."""
        return {
            "minutes": round(self.minutes, 1),
            "of them disturbed": round(self.disturbed_minutes, 1),
            "injected": sum(self.faults.values()),
            "faults": dict(sorted(self.faults.items(), key=lambda each: int(each[0][1:]))),
            "trials": dict(self.states),
            "ends of attempts": dict(self.ends),
            "lost, duplicated": [self.ledger.lost, self.ledger.duplicated],
            "epochs": vars(self.effort),
            "goodput": round(self.effort.goodput, 3),
            "seconds a trial": round(self.trial_s, 2),
            "seconds a trial, undisturbed": round(self.undisturbed_s, 2),
            "recovery seen: p50, p95, of": _spread(self.seen_s),
            "recovery by lease: p50, p95, of": _spread(self.unseen_s),
            "exit codes": {name: list(codes) for name, codes in self.codes.items()},
            "trends": [each.sentence() for each in self.trends],
            "remarks of the doctor": list(self.remarks),
        }


def _spread(times: Sequence[float]) -> list[float]:
    return [round(quantile(times, 0.5), 2), round(quantile(times, 0.95), 2), len(times)]
