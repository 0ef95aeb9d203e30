"""The run folders of a home as a check-up sees them: whose they are, and what of them is unsent."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from risexp.app.doctor.system import is_locked
from risexp.app.run.sync import missing_lines
from risexp.errors import DataInvalid, RisexpError
from risexp.runs.folder import RunFolder, is_run, list_runs, runs_home
from risexp.runs.spec import Labels, read_labels
from risexp.tracking.stores import TrackingStore
from risexp.tracking.upload_state import RecordedOutcome, UploadProgress, UploadState
from risexp.tracking.uploader_process import store_for


@dataclass(frozen=True)
class Seen:
    """One run's folder."""

    run: RunFolder
    labels: Labels | None
    store: TrackingStore | None
    """Where it is recorded; None: nowhere."""
    progress: UploadProgress | None
    unsent: int
    """Lines that its store misses; 0 where it has none."""
    begun: bool
    """Whether anything was written down of it."""
    ending: RecordedOutcome | None
    """What it says of its end; None where it says nothing."""
    trained: bool
    """Whether a process has it."""

    @property
    def spool(self) -> UploadState:
        """The folder as its sender sees it."""
        return UploadState(self.run.path)

    @property
    def study_uid(self) -> str | None:
        """Of the study that it is a trial of."""
        parent = None if self.labels is None else self.labels.parent
        return None if parent is None else parent.uid

    def is_of(self, studies: Sequence[str]) -> bool:
        """Whether it belongs to one of these studies, by name; to any where none is named."""
        return not studies or (self.labels is not None and self.labels.study in studies)


@dataclass(frozen=True)
class Folders:
    """All of them."""

    seen: tuple[Seen, ...]
    damaged: tuple[str, ...]
    """What is wrong with those that cannot be read, in sentences."""

    def of_study(self, uid: str) -> Iterable[Seen]:
        """The trials of a study."""
        return (each for each in self.seen if each.study_uid == uid)


def folders(studies: Sequence[str]) -> Folders:
    """The folders of some studies' trials; of all runs where no study is named."""
    seen, damaged = list[Seen](), [*_untold()]
    for run in list_runs():
        try:
            found = see(run)
        except RisexpError as error:
            damaged.append(f"run {run.run_id} cannot be read: {error}")
            continue
        if found.is_of(studies):
            seen.append(found)
    return Folders(tuple(seen), tuple(damaged))


def see(run: RunFolder) -> Seen:
    """One folder, each of its documents read.

    Raises:
        RisexpError: One is missing or damaged.
    """
    spool, store = UploadState(run.path), store_for(run.path, None)
    progress, ending, unsent = spool.progress(), spool.ending(), missing_lines(run)
    begun = unsent > 0 or (progress is not None and progress.sent > 0)
    run.config()
    run.plans()
    if begun and not run.environments():
        raise DataInvalid(f"{run.path} does not say what its attempts were computed with")
    return Seen(
        run=run,
        labels=read_labels(run.path),
        store=store,
        progress=progress,
        unsent=0 if store is None else unsent,
        begun=begun,
        ending=None if ending is None else ending[1],
        trained=is_locked(run.path / ".lock"),
    )


def _untold() -> Iterator[str]:
    """Folders with a journal that nobody knows the configuration of."""
    for path in sorted(runs_home().glob("*/journal.jsonl")):
        if not is_run(path.parent.name):
            yield f"run {path.parent.name} cannot be read: its config.json is missing"
