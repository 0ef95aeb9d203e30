"""The table of checks, and the doctor's examination by it.

It may be called at any time, also during a search. Nothing changes unless fixes are asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Final

import optuna

from risexp.app.doctor.check import FIX, Check, CheckRow, Diagnosis
from risexp.app.doctor.checkpoint_checks import damaged_checkpoints, superseded_checkpoints
from risexp.app.doctor.environment import environment_checks
from risexp.app.doctor.fix import apply_fixes
from risexp.app.doctor.snapshot import (
    Snapshot,
    read_again,
    read_snapshot,
    unended,
    with_records,
)
from risexp.app.doctor.status import (
    StudyStatus,
    corrupt_checkpoints,
    corrupt_documents,
    partial_files,
)
from risexp.app.doctor.stores import destinations, records_check, studies_store
from risexp.app.doctor.study_checks import (
    damaged_journals,
    finality_sentence,
    idle_hosts,
    late_lines,
    lease_faults,
    missing_folders,
    reports_sentence,
    state_sentence,
    unended_trials,
    unheld_trials,
    violations,
    wrong_reports,
    wrong_values,
)
from risexp.app.doctor.tracking_checks import (
    metrics_sentence,
    runs_sentence,
    wrong_metrics,
    wrong_runs,
)
from risexp.app.run.sync import Destinations
from risexp.errors import RisexpError
from risexp.tracking.stores import chosen_store
from risexp.tracking.study_run import study_rows

Tell = Callable[[str], None]

_RANK: Final = "the journal has what was trained; do not rank the trial by its study"
_SEND_ANEW: Final = (
    "to send a run anew, `mlflow runs delete --run-id ID`, `mlflow gc --run-ids ID`, move "
    "mlflow.json out of its folder, and `risexp sync NAME`"
)
_RUNS: Final = (
    f"{FIX} sets a status; of two runs `mlflow runs delete --run-id ID` deletes the one whose id "
    "is not in the folder's mlflow.json, and of a study's own the one without children; `mlflow "
    f"runs restore --run-id ID` brings a deleted one back; {_SEND_ANEW}"
)

STUDY_CHECKS: Final[tuple[CheckRow[StudyStatus], ...]] = (
    CheckRow("state", lambda _: (), state_sentence),
    CheckRow(
        "I1",
        partial(violations, "I1"),
        "as many trials as the budget has, one a slot",
        "`risexp hpo` with the same study fills empty slots and closes a second one that waits",
    ),
    CheckRow(
        "I2",
        partial(violations, "I2"),
        finality_sentence,
        f"{FIX} gives back trials without a worker; `risexp hpo` with the same study goes on with "
        "those that wait",
    ),
    CheckRow(
        "I3",
        partial(violations, "I3"),
        "every complete trial reported epochs 1 to its last",
        "the journal in its run folder has every epoch; do not rank the trial by its study",
    ),
    CheckRow(
        "I4",
        partial(violations, "I4"),
        "all attempts at a trial tried the same parameters",
        "do not trust the trial, whose attempts trained different configurations",
    ),
    CheckRow("reports", wrong_reports, reports_sentence, _RANK),
    CheckRow("I5", wrong_runs, runs_sentence, _RUNS),
    CheckRow("values", wrong_metrics, metrics_sentence, _SEND_ANEW),
    CheckRow(
        "journals",
        damaged_journals,
        "",
        "put a copy back; its trial cannot be compared",
    ),
    CheckRow(
        "folders",
        missing_folders,
        lambda status: f"{len(status.folders)} folders say what became of their trials",
        "put a copy of it back; until then the trial cannot be compared, nor its run closed",
    ),
    CheckRow("scores", wrong_values, "the value of a trial is its journal's best", _RANK),
    CheckRow(
        "checkpoints",
        damaged_checkpoints,
        "every checkpoint that is needed is whole",
        "put a copy back; without one the trial must be trained again",
    ),
)
"""Whether a study is sound: a fault counts if two readings show it."""

STUDY_LEFTOVERS: Final[tuple[CheckRow[StudyStatus], ...]] = (
    CheckRow(
        "leases",
        lease_faults,
        "none is over, or workers see to them",
        f"once its time is over, a worker or {FIX} gives the trial back",
        "warn",
        details=unheld_trials,
    ),
    CheckRow(
        "end",
        unended_trials,
        "nothing waits, or a worker or an end says why",
        "no end is written; the same command goes on, `risexp study stop NAME` writes one",
        "warn",
    ),
    CheckRow(
        "run of the study",
        lambda status: [f"run {run} is RUNNING" for run in unended(status)],
        lambda status: "its run in MLflow says how it stands" if status.tracked.judged else "",
        f"{FIX} says there how it ended",
        "warn",
    ),
    CheckRow(
        "old checkpoints",
        superseded_checkpoints,
        "",
        "the newest and the best are whole; find out what the disk did to it",
        "warn",
    ),
    CheckRow(
        "late lines",
        late_lines,
        "",
        "they do not count and are not sent: its worker had lost the trial",
        "warn",
    ),
    CheckRow(
        "hosts",
        idle_hosts,
        "",
        "make room there; its workers claim trials again by themselves",
        "warn",
    ),
)
"""What dead workers and stopped searches left in a study."""

HOME_LEFTOVERS: Final[tuple[CheckRow[Snapshot], ...]] = (
    CheckRow(
        "folders",
        lambda look: look.damaged,
        lambda look: f"{len(look.folders)} run folders can be read",
        "put a copy of the file back",
    ),
    CheckRow(
        "sent",
        Snapshot.lost_runs,
        "every run that was sent is in its store",
        "`risexp sync --again` sends all that is in its folder",
    ),
    CheckRow(
        "unsent",
        lambda look: [f"run {each.run.run_id}: {each.unsent} lines" for each in look.unsent()],
        "every line of a journal is where it belongs",
        f"{FIX} or `risexp sync` sends them",
        "warn",
    ),
    CheckRow(
        "runs",
        lambda look: [each.run.run_id for each in look.wrong_plain_statuses()],
        "MLflow calls no ended run running",
        f"MLflow calls it running, and it has ended; {FIX} sets its status",
        "warn",
    ),
    CheckRow(
        "studies",
        Snapshot.strangers,
        lambda look: "" if look.known is None else "every trial's study is there",
        "it is kept; name the study's store in RISEXP_STORE",
        "warn",
    ),
    CheckRow(
        "partial files",
        lambda _: partial_files(),
        "none was left half-written",
        "its writer died; delete it, or leave it",
        "warn",
    ),
    CheckRow(
        "checkpoints",
        lambda _: corrupt_checkpoints(),
        "none is damaged",
        "it was set aside, and an older one is used; find out what the disk did to it",
        "warn",
    ),
    CheckRow(
        "small files",
        lambda _: corrupt_documents(),
        "none is damaged",
        "its spare copy is read; the next attempt mends it; find out what the disk did to it",
        "warn",
    ),
)
"""What was left in run folders, in MLflow, and on the disk."""


def examine(
    studies: Sequence[str] = (), *, fix: bool = False, tell: Tell = lambda _: None
) -> Diagnosis:
    """Run every check."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    done = tuple(apply_fixes(studies, tell)) if fix else ()
    with studies_store() as opened:
        look = read_snapshot(opened, studies, destinations())
        return Diagnosis((*environment_checks(), *_checks(look, tell)), done)


def _checks(look: Snapshot, tell: Tell) -> Iterator[Check]:
    yield look.studies.check
    yield records_check(look.destinations, chosen_store(None))
    yield from look.others
    for status in look.statuses:
        for check in _of_study(status, look.destinations, tell):
            yield replace(check, what=f"{status.study.name}: {check.what}")
    yield from filter(None, (row.check("stale", look) for row in HOME_LEFTOVERS))


def _of_study(first: StudyStatus, places: Destinations, tell: Tell) -> Iterator[Check]:
    """All checks of a study, or one warning if it changes and cannot be read a second time."""

    def read(status: StudyStatus) -> StudyStatus:
        return with_records(status, places, partial(study_rows, tell=tell))

    status, again = read(first), cache(lambda: read(read_again(first)))
    try:
        checks = [row.check("studies", status, again) for row in STUDY_CHECKS]
    except RisexpError as error:
        sentence = f"it changes, and cannot be read again ({error}): call again"
        yield Check("studies", "state", "warn", sentence)
        return
    if (failure := status.tracked.failure) is not None:
        yield Check("stores", "record", "fail", f"the study's record cannot be read: {failure}")
    yield from filter(None, checks)
    yield from filter(None, (row.check("stale", status) for row in STUDY_LEFTOVERS))
