"""Sends a run's record to its store: in order, once, and from wherever the last sender stopped.

What is sent is read from the run's folder and from nowhere else, with the times that the journal
fixed; so a sender may die at any moment, and the next one says some things again and none twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from risexp.runs.journal_format import STARTED, Note, Row
from risexp.runs.labels import Labels
from risexp.runs.source import sources
from risexp.tracking.artifacts import (
    attempt_files,
    best_confusion_files,
    calibration_files,
    confusion_files,
    outcome_files,
    told_files,
)
from risexp.tracking.client import MetricPoint, TrackingClient
from risexp.tracking.confusion_image import is_drawn
from risexp.tracking.payload import (
    STATUS,
    attempt_tags,
    datasets_of,
    described_tags,
    ending_tags,
    final_note,
    first_tags,
    params_of,
    uid_of,
)
from risexp.tracking.sent_metrics import selected_keys, sent_values
from risexp.tracking.study_run import parent_id
from risexp.tracking.upload_state import (
    CALIBRATED,
    CONFUSION,
    INTERRUPTED,
    Piece,
    RecordedOutcome,
    UploadProgress,
    UploadState,
)

_LINES: Final = 50
"""Lines of a journal after which the place is remembered."""

STEPS: Final = (
    "experiment",
    "created",
    "known",
    "described",
    "sent",
    "advanced",
    "closed",
    "ended",
)
"""Moments of a sender, in their order: it may die after each."""


@dataclass(frozen=True)
class UploadResult:
    """What one pass over a folder brought into its store."""

    run_id: str
    """The store's name of the run; empty where there was nothing to send."""
    lines: int = 0
    points: int = 0
    """Values among them."""


class Uploader:
    """Brings one run's record into one store; to be used by who holds `Spool.sending`."""

    def __init__(
        self,
        spool: UploadState,
        store: str,
        runs: TrackingClient,
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin where the folder says that the last sender stopped.

        Args:
            spool: The run's folder.
            store: The store's name.
            runs: Of the store.
            reached: Told each of `STEPS` as it is reached.
        """
        self._spool = spool
        self._runs = runs
        self._reached = reached
        self._progress = spool.progress() or UploadProgress(store)

    def drain(self, *, live: bool) -> UploadResult:
        """Send what is in the folder and not in the store.

        Args:
            live: Whether somebody may be about to write more.
        """
        if self._progress.sent == 0 and not self._spool.lines().lines:
            return UploadResult("")
        self._identify()
        self._describe()
        lines = points = 0
        for piece in self._spool.pieces(self._progress.sent, _LINES):
            lines += len(piece.lines)
            points += self._send(piece)
        self._close(live)
        return UploadResult(self._progress.run_id, lines, points)

    @cached_property
    def _labels(self) -> Labels:
        return self._spool.labels()

    @cached_property
    def _began_ms(self) -> int:
        return self._spool.lines().lines[0].time

    @cached_property
    def _keys(self) -> frozenset[str]:
        return selected_keys(self._spool.plans())

    @cached_property
    def _epochs(self) -> int:
        return len(self._spool.plans())

    @property
    def _uid(self) -> str:
        return uid_of(self._spool, self._began_ms)

    def _save(self, progress: UploadProgress) -> None:
        self._spool.save(progress)
        self._progress = progress

    def _identify(self) -> None:
        """Find or make the run, and remember its id before anything else is sent."""
        if self._progress.run_id:
            return
        labels, runs = self._labels, self._runs
        experiment_id = runs.experiment(labels.experiment)
        self._reached("experiment")
        run_id = runs.find(experiment_id, self._uid)
        if run_id is None:
            tags = first_tags(self._spool, self._uid, labels)
            if labels.parent is not None:
                parent = parent_id(runs, self._spool.path.parent, experiment_id, labels.parent)
                tags["mlflow.parentRunId"] = parent
            run_id = runs.create(experiment_id, self._spool.run, tags, self._began_ms)
        self._reached("created")
        self._save(replace(self._progress, experiment_id=experiment_id, run_id=run_id))
        self._reached("known")

    def _describe(self) -> None:
        if self._progress.described:
            return
        config, run_id = self._spool.config(), self._progress.run_id
        params = params_of(config, self._labels)
        self._runs.add(run_id, params=params, tags=described_tags(self._spool, self._labels))
        self._runs.add_datasets(run_id, datasets_of(config))
        self._runs.add_files(run_id, told_files(self._spool.path))
        self._reached("described")
        self._save(replace(self._progress, described=True))

    def _send(self, piece: Piece) -> int:
        """Send some lines, then remember that they are there; how many values they held."""
        progress, run_id = self._progress, self._progress.run_id
        begun = sum(isinstance(line, Note) and line.event == STARTED for line in piece.lines)
        if begun:
            progress = replace(progress, attempts=progress.attempts + begun, ending="")
            self._begin(progress.attempts)
        points = [point for line in piece.lines for point in self._points(line)]
        self._runs.add(run_id, points, tags=_nonfinite(piece.lines))
        for line in piece.lines:
            if isinstance(line, Note):
                self._runs.add_files(run_id, self._files(line))
        self._reached("sent")
        self._save(replace(progress, sent=piece.end, time=piece.lines[-1].time))
        self._reached("advanced")
        return len(points)

    def _begin(self, attempt: int) -> None:
        """Tell that an attempt is under way, and with what."""
        run_id, folder = self._progress.run_id, self._spool.path
        self._runs.go_on(run_id)
        self._runs.add(run_id, tags=attempt_tags(attempt, sources(folder)))
        self._runs.add_files(run_id, attempt_files(folder))

    def _points(self, line: Row | Note) -> list[MetricPoint]:
        if isinstance(line, Note):
            return []
        values = sent_values(line, self._keys)
        return [MetricPoint(key, value, line.time, line.step) for key, value in values.items()]

    def _files(self, note: Note) -> Mapping[str, bytes]:
        if note.event == CALIBRATED:
            return calibration_files(note)
        if note.event == CONFUSION:
            drawn = is_drawn(note.step, self._epochs)
            return confusion_files(note, self._uid, drawn=drawn)
        return {}

    def _close(self, live: bool) -> None:
        """Tell how the run ended, once it has."""
        found = self._spool.ending()
        if found is None:
            if not live and self._progress.ending != INTERRUPTED:
                self._runs.add(self._progress.run_id, tags=ending_tags(None))
                self._save(replace(self._progress, ending=INTERRUPTED))
            return
        sha, ending = found
        if self._progress.ending == sha:
            return
        self._finish(ending)
        self._reached("closed")
        self._save(replace(self._progress, ending=sha))
        self._reached("ended")

    def _finish(self, ending: RecordedOutcome) -> None:
        progress, runs = self._progress, self._runs
        best, confusion = _best(self._spool.lines().lines)
        if confusion is not None:
            runs.add_files(progress.run_id, best_confusion_files(confusion, self._uid))
        note = final_note(self._spool, self._labels, ending, best)
        runs.add(progress.run_id, tags={**ending_tags(ending), "mlflow.note.content": note})
        runs.add_files(progress.run_id, outcome_files(ending))
        runs.settle(progress.experiment_id, self._uid, progress.run_id)
        status = STATUS[ending.status]
        if status == "RUNNING":
            runs.go_on(progress.run_id)
        else:
            runs.end(progress.run_id, status, progress.time)


def _best(lines: Sequence[Row | Note]) -> tuple[Row | None, Note | None]:
    """The row of the best epoch, and the note of its confusion."""
    best = None
    for line in lines:
        if isinstance(line, Row) and "best/k_loc" in line.values:
            best = line
    if best is None:
        return None, None
    notes = [line for line in lines if isinstance(line, Note) and line.step == best.step]
    return best, next((note for note in notes if note.event == CONFUSION), None)


def _nonfinite(lines: Sequence[Row | Note]) -> dict[str, str]:
    rows = [line for line in lines if isinstance(line, Row) and line.nonfinite]
    if not rows:
        return {}
    words = ", ".join(f"{key} = {word}" for key, word in rows[-1].nonfinite.items())
    return {"risexp.nonfinite": f"epoch {rows[-1].step}: {words}"}
