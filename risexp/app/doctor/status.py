"""State of run folders and of studies, read at one moment."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from sqlalchemy import select

from risexp.app.run.sync import missing_lines
from risexp.core.durable import PARTIAL
from risexp.core.home import home
from risexp.errors import DataInvalid, RisexpError
from risexp.hpo.store.leases import TTL_S, Attempt, Leases
from risexp.hpo.store.schema import database_clock
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import End, StudyRef, end_of, run_id
from risexp.hpo.trials.invariants import FINAL, State, StudySnapshot
from risexp.hpo.trials.reaper import NO_OWNER
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.runs.folder import RunFolder, damaged_documents, is_run, list_runs, runs_home
from risexp.runs.journal import Contents
from risexp.runs.spec import Labels, read_labels
from risexp.tracking.stores import TrackingStore
from risexp.tracking.study_run import TrialRun
from risexp.tracking.upload_state import RecordedOutcome, UploadProgress, UploadState
from risexp.tracking.uploader_process import store_for

_LOCKS: Final = Path("/proc/locks")
_SETTLED_S: Final = 60.0
"""Age from which a partial file has no living writer."""


@dataclass(frozen=True)
class FolderState:
    """State of one run's folder."""

    run: RunFolder
    labels: Labels | None
    store: TrackingStore | None
    progress: UploadProgress | None
    unsent: int
    """Lines missing in its store; 0 without a store."""
    begun: bool
    ending: RecordedOutcome | None
    trained: bool

    @property
    def study_uid(self) -> str | None:
        """Identifier of the study if the run is a trial."""
        parent = None if self.labels is None else self.labels.parent
        return None if parent is None else parent.uid


@dataclass(frozen=True)
class TrackedStudy:
    """Runs of a study in MLflow."""

    places: Mapping[str, TrackingStore] = field(default_factory=dict)
    """Store by MLflow's run id."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Status of the study's own run by MLflow's run id; there should be one."""
    runs: tuple[TrialRun, ...] = ()
    judged: bool = False
    """True if a store has answered and should know the study."""
    failure: str | None = None

    def of(self, number: int) -> tuple[TrialRun, ...]:
        """Runs of one trial."""
        return tuple(self._by_number.get(number, ()))

    @cached_property
    def _by_number(self) -> Mapping[int, Sequence[TrialRun]]:
        runs = dict[int, list[TrialRun]]()
        for run in self.runs:
            runs.setdefault(run.number, []).append(run)
        return runs


@dataclass(frozen=True)
class StudyStatus:
    """Everything known of a study."""

    store: StudyStore
    study: StudyRef
    record: StudySnapshot
    end: End | None
    now: float
    """Time by the database's clock, read before everything else."""
    attempts: Mapping[int, Sequence[Attempt]]
    """Attempts in their order by trial number, surplus trials included."""
    folders: Mapping[int, FolderState] = field(default_factory=dict)
    """Folders in this home by trial number."""
    tracked: TrackedStudy = field(default_factory=TrackedStudy)
    journals: Mapping[int, Contents] = field(default_factory=dict)
    """Readable journals by trial number."""
    damaged: tuple[str, ...] = ()
    """Sentences about the other journals."""

    @cached_property
    def living(self) -> Mapping[int, Attempt]:
        """Attempts with a valid lease by trial number."""
        return {number: last for number, last in self._open.items() if last.expires_at > self.now}

    @cached_property
    def expired(self) -> Mapping[int, Attempt]:
        """Attempts with an expired lease that were not ended, by trial number."""
        return {number: last for number, last in self._open.items() if last.expires_at <= self.now}

    @cached_property
    def at_work(self) -> bool:
        """True if a worker holds a trial."""
        return any(attempt.lease.owner != NO_OWNER.id for attempt in self.living.values())

    @cached_property
    def over(self) -> bool:
        """True if no trial waits or runs."""
        return all(trial.state in FINAL for trial in self.record.trials)

    @cached_property
    def unnamed(self) -> tuple[int, ...]:
        """Waiting trials of a study without a recorded end."""
        if self.end is not None:
            return ()
        trials = self.record.trials
        return tuple(each.number for each in trials if each.state == "waiting" and not each.held)

    @cached_property
    def returning(self) -> Mapping[int, float]:
        """Seconds until a running trial without a worker waits again, by trial number."""
        pending = {
            number: attempt.expires_at - self.now
            for number, attempt in self.living.items()
            if attempt.lease.owner == NO_OWNER.id
        }
        running = self.in_state("running") & self.attempts.keys()
        last = {number: self.attempts[number][-1] for number in running}
        return pending | {
            number: attempt.ended_at + TTL_S - self.now
            for number, attempt in last.items()
            if attempt.ended_at is not None
            if attempt.ended_at + TTL_S > self.now
        }

    @cached_property
    def orphans(self) -> tuple[int, ...]:
        """Running trials that have no lease and will not return by themselves."""
        return tuple(sorted(self.in_state("running") - self._open.keys() - self.returning.keys()))

    @cached_property
    def late(self) -> frozenset[int]:
        """Trials whose run in MLflow may be behind: they are at work, or data was not uploaded."""
        moving = {
            trial.number
            for trial in self.record.trials
            if self.at_work and (trial.held or trial.state not in FINAL)
        }
        unsent = {number for number, folder in self.folders.items() if folder.unsent}
        return frozenset(moving | unsent | self.living.keys())

    @cached_property
    def untold(self) -> frozenset[int]:
        """Final trials whose folder has a journal and no outcome."""
        final = {trial.number for trial in self.record.trials if trial.state in FINAL}
        return frozenset(
            number
            for number, folder in self.folders.items()
            if number in final and folder.begun and folder.ending is None
        )

    def in_state(self, state: State) -> set[int]:
        """Numbers of the trials in a state."""
        return {trial.number for trial in self.record.trials if trial.state == state}

    @cached_property
    def _open(self) -> Mapping[int, Attempt]:
        last = {number: attempts[-1] for number, attempts in self.attempts.items()}
        return {number: attempt for number, attempt in last.items() if attempt.ended is None}


def read_folders(studies: Sequence[str]) -> tuple[list[FolderState], list[str]]:
    """Read the folders of these studies' trials, or of all runs if no study is named.

    Returns:
        The readable ones, and sentences about the damaged ones.
    """
    readable, damaged = list[FolderState](), list[str]()
    for path in sorted(runs_home().glob("*/journal.jsonl")):
        if not is_run(path.parent.name):
            damaged.append(f"run {path.parent.name} cannot be read: its config.json is missing")
    for run in list_runs():
        try:
            state = folder_state(run)
        except RisexpError as error:
            damaged.append(f"run {run.run_id} cannot be read: {error}")
            continue
        if not studies or (state.labels is not None and state.labels.study in studies):
            readable.append(state)
    return readable, damaged


def folder_state(run: RunFolder) -> FolderState:
    """Read every document of one folder."""
    uploads, store = UploadState(run.path), store_for(run.path, None)
    progress, ending, unsent = uploads.progress(), uploads.ending(), missing_lines(run)
    begun = unsent > 0 or (progress is not None and progress.sent > 0)
    run.config()
    run.plans()
    if begun and not run.environments():
        raise DataInvalid(f"{run.path} does not say what its attempts were computed with")
    return FolderState(
        run=run,
        labels=read_labels(run.path),
        store=store,
        progress=progress,
        unsent=0 if store is None else unsent,
        begun=begun,
        ending=None if ending is None else ending[1],
        trained=is_locked(run.path / ".lock"),
    )


def is_locked(path: Path, locks: Path = _LOCKS) -> bool:
    """True if a local process holds the lock of a file, as far as the system says.

    The lock is not tried: that could keep out a process that is about to take it.
    """
    try:
        inode = str(path.stat().st_ino)
        words = locks.read_text(encoding="utf-8").split()
    except OSError:
        return False
    # Not the device: some file systems show another one there.
    return any(word.count(":") == 2 and word.rsplit(":", 1)[1] == inode for word in words)


def study_status(store: StudyStore, study: StudyRef) -> StudyStatus:
    """Read a study from its database, without its folders."""
    clock = select(database_clock(store.engine))
    now = store.write(lambda connection: connection.execute(clock).scalar_one())
    # After the clock: an attempt that is renewed meanwhile counts as alive.
    attempts = Leases(store, study.uid).attempts()
    record, end = study_snapshot(store, study, attempts), end_of(store, study)
    by_number = dict[int, list[Attempt]]()
    numbers = {trial.trial_id: trial.number for trial in store.storage.list_trials(study.id)}
    for attempt in attempts:
        if attempt.lease.trial_id in numbers:
            by_number.setdefault(numbers[attempt.lease.trial_id], []).append(attempt)
    return StudyStatus(store, study, record, end, now, by_number)


def with_folders(status: StudyStatus, folders: Iterable[FolderState]) -> StudyStatus:
    """Add the folders, which must be read after the study: a final trial has written its end."""
    own = [each for each in folders if each.study_uid == status.study.uid]
    by_name = {folder.run.run_id: folder for folder in own}
    names = {each.number: run_id(status.study.name, each.number) for each in status.record.trials}
    present = {number: by_name[name] for number, name in names.items() if name in by_name}
    return replace(status, folders=present)


def partial_files() -> list[str]:
    """Files that a process which died began to write."""
    before = time.time() - _SETTLED_S
    return [name for name, path in _files(f"**/*{PARTIAL}") if _modified(path) < before]


def corrupt_checkpoints() -> list[str]:
    """Damaged checkpoints that were set aside."""
    return [name for name, _ in _files("runs/*/checkpoints/*/*.corrupt*")]


def corrupt_documents() -> list[str]:
    """Small files of runs that are damaged, or that were and are set aside."""
    damaged = [
        f"{run.run_id}/{name}" for run in list_runs() for name in damaged_documents(run.path)
    ]
    return [*damaged, *(name for name, _ in _files("runs/*/*.corrupt*"))]


def _modified(path: Path) -> float:
    """Time of the last change; infinite if the file is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")


def _files(pattern: str) -> list[tuple[str, Path]]:
    place = home().absolute()
    return [(str(p.relative_to(place)), p) for p in sorted((place / "mlruns").glob(pattern))]
