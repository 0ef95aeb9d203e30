"""Uploads the record of a run to its store: in order, once, and resumed where the last one stopped.

Everything is read from the run's folder, with the times that the journal fixed. So an uploader may
be killed at any moment: the next one repeats some requests, and the store holds no value twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from risexp.core.home import home_id
from risexp.runs.journal import STARTED, Contents, Note, Row
from risexp.runs.source import sources
from risexp.runs.spec import Labels, read_config, read_plans
from risexp.tracking.client import MetricPoint, TrackingClient
from risexp.tracking.confusion_image import is_drawn
from risexp.tracking.payload import (
    STATUS,
    attempt_files,
    attempt_tags,
    best_confusion_files,
    calibration_files,
    confusion_files,
    datasets_of,
    described_tags,
    ending_tags,
    final_note,
    first_tags,
    outcome_files,
    params_of,
    spec_files,
    uids_of,
)
from risexp.tracking.sent_metrics import selected_keys, sent_values
from risexp.tracking.study_run import study_run_id
from risexp.tracking.upload_state import (
    CALIBRATED,
    CONFUSION,
    INTERRUPTED,
    RecordedOutcome,
    UploadProgress,
    UploadState,
)

_HOME: Final = "risexp.home"
"""The tag that names the home that sent the last part of a trial's record."""
_LINES: Final = 50
"""Lines of a journal between two saves of the progress."""

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
"""Steps of an upload in their order; it may be killed after each one."""


@dataclass(frozen=True)
class UploadResult:
    """What one pass over a folder uploaded."""

    run_id: str
    """MLflow's id of the run; empty if there was nothing to upload."""
    lines: int = 0
    points: int = 0
    """Metric values in these lines."""


class Uploader:
    """Uploads one run to one store; to be used while `UploadState.sending` is locked."""

    def __init__(
        self,
        upload: UploadState,
        store: str,
        runs: TrackingClient,
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Resume where the folder says that the last uploader stopped.

        `reached` is called with each of `STEPS`; tests kill the uploader there.
        """
        self._upload = upload
        self._runs = runs
        self._reached = reached
        self._progress = upload.progress() or UploadProgress(store)

    def drain(self, *, live: bool) -> UploadResult:
        """Upload what the store does not have; while `live`, the training may still write."""
        if self._progress.sent == 0 and not self._upload.lines().lines:
            return UploadResult("")
        self._find_or_create()
        self._take_turn()
        self._describe()
        lines = points = 0
        for piece in self._upload.pieces(self._progress.sent, _LINES):
            lines += len(piece.lines)
            points += self._send(piece)
        self._close(live)
        return UploadResult(self._progress.run_id, lines, points)

    @cached_property
    def _labels(self) -> Labels:
        return self._upload.labels()

    @cached_property
    def _began_ms(self) -> int:
        return self._upload.lines().lines[0].time

    @cached_property
    def _keys(self) -> frozenset[str]:
        return selected_keys(read_plans(self._upload.path))

    @property
    def _uid(self) -> str:
        return self._uids[0]

    @cached_property
    def _uids(self) -> tuple[str, ...]:
        return uids_of(self._upload, self._labels, self._began_ms)

    def _save(self, progress: UploadProgress) -> None:
        self._upload.save(progress)
        self._progress = progress

    def _find_or_create(self) -> None:
        """Find or create the run, and save its id before anything else is sent."""
        if self._progress.run_id:
            return
        labels, runs = self._labels, self._runs
        experiment_id = runs.experiment(labels.experiment)
        self._reached("experiment")
        known = (runs.find(experiment_id, uid) for uid in self._uids)
        run_id, held = next(filter(None, known), None), dict[str, list[int]]()
        if run_id is not None:
            runs.add(run_id, tags={_HOME: home_id()})
            held = self._held(run_id)
        else:
            tags = first_tags(self._upload, self._uid, labels) | {_HOME: home_id()}
            if labels.parent is not None:
                parent = study_run_id(runs, self._upload.path.parent, experiment_id, labels.parent)
                tags["mlflow.parentRunId"] = parent
            run_id = runs.create(experiment_id, self._upload.run, tags, self._began_ms)
        self._reached("created")
        progress = replace(self._progress, experiment_id=experiment_id, run_id=run_id, held=held)
        self._save(progress)
        self._reached("known")

    def _held(self, run_id: str) -> dict[str, list[int]]:
        """The steps of each metric that another home has sent.

        Both homes have the same values at other times, so sending them would double them.
        """
        ours = {(row.step, row.time) for row in self._upload.lines().rows}
        points = (
            point for key in self._runs.keys(run_id) for point in self._runs.history(run_id, key)
        )
        held = dict[str, list[int]]()
        for point in points:
            if (point.step, point.time) not in ours:
                held.setdefault(point.key, []).append(point.step)
        return held

    def _take_turn(self) -> None:
        """Leave out what another home has sent since this one sent something."""
        if self._labels.trial is None or not self._upload.lines(self._progress.sent).lines:
            return
        run_id, own = self._progress.run_id, home_id()
        if self._runs.tag(run_id, _HOME) == own:
            return
        # Before the tag, lest a killed uploader take it for read; after it, lest one miss what
        # another home sends in between.
        self._save(replace(self._progress, held=self._held(run_id)))
        self._runs.add(run_id, tags={_HOME: own})
        self._save(replace(self._progress, held=self._held(run_id)))

    def _describe(self) -> None:
        if self._progress.described:
            return
        config, run_id = read_config(self._upload.path), self._progress.run_id
        params = params_of(config, self._labels)
        self._runs.add(run_id, params=params, tags=described_tags(self._upload, self._labels))
        self._runs.add_datasets(run_id, datasets_of(config))
        self._runs.add_files(run_id, spec_files(self._upload.path))
        self._reached("described")
        self._save(replace(self._progress, described=True))

    def _send(self, piece: Contents) -> int:
        """Send some lines, then save the progress; returns their number of values."""
        progress, run_id = self._progress, self._progress.run_id
        started = sum(isinstance(line, Note) and line.event == STARTED for line in piece.lines)
        if started:
            progress = replace(progress, attempts=progress.attempts + started, ending="")
            self._start_attempt(progress.attempts)
        points = [
            MetricPoint(key, value, line.time, line.step)
            for line in piece.lines
            if isinstance(line, Row)
            for key, value in sent_values(line, self._keys).items()
            if line.step not in progress.held.get(key, ())
        ]
        self._runs.add(run_id, points, tags=_nonfinite_tag(piece.lines))
        for line in piece.lines:
            if isinstance(line, Note):
                self._runs.add_files(run_id, self._note_files(line))
        self._reached("sent")
        self._save(replace(progress, sent=piece.end, time=piece.lines[-1].time))
        self._reached("advanced")
        return len(points)

    def _start_attempt(self, attempt: int) -> None:
        run_id, folder = self._progress.run_id, self._upload.path
        self._runs.set_running(run_id)
        self._runs.add(run_id, tags=attempt_tags(attempt, sources(folder)))
        self._runs.add_files(run_id, attempt_files(folder))

    def _note_files(self, note: Note) -> Mapping[str, bytes]:
        if note.event == CALIBRATED:
            return calibration_files(note)
        if note.event == CONFUSION:
            drawn = is_drawn(note.step, len(read_plans(self._upload.path)))
            return confusion_files(note, self._uid, drawn=drawn)
        return {}

    def _close(self, live: bool) -> None:
        """Send how the run ended, if it has."""
        ending = self._upload.ending()
        if ending is None:
            if not live and self._progress.ending != INTERRUPTED:
                self._runs.add(self._progress.run_id, tags=ending_tags(None))
                self._save(replace(self._progress, ending=INTERRUPTED))
            return
        sha, outcome = ending
        if self._progress.ending == sha:
            return
        self._send_outcome(outcome)
        self._reached("closed")
        self._save(replace(self._progress, ending=sha))
        self._reached("ended")

    def _send_outcome(self, outcome: RecordedOutcome) -> None:
        progress, runs = self._progress, self._runs
        best, confusion = _best(self._upload.lines().lines)
        if confusion is not None:
            runs.add_files(progress.run_id, best_confusion_files(confusion, self._uid))
        note = final_note(self._upload, self._labels, outcome, best)
        runs.add(progress.run_id, tags={**ending_tags(outcome), "mlflow.note.content": note})
        runs.add_files(progress.run_id, outcome_files(outcome))
        runs.delete_duplicates(progress.experiment_id, self._uid, progress.run_id)
        status = STATUS[outcome.status]
        if status == "RUNNING":
            runs.set_running(progress.run_id)
        else:
            runs.end(progress.run_id, status, progress.time)


def _best(lines: Sequence[Row | Note]) -> tuple[Row | None, Note | None]:
    """The row of the best epoch, and the note with its confusion."""
    rows = [line for line in lines if isinstance(line, Row) and "best/k_loc" in line.values]
    if not rows:
        return None, None
    notes = [line for line in lines if isinstance(line, Note) and line.step == rows[-1].step]
    return rows[-1], next((note for note in notes if note.event == CONFUSION), None)


def _nonfinite_tag(lines: Sequence[Row | Note]) -> dict[str, str]:
    rows = [line for line in lines if isinstance(line, Row) and line.nonfinite]
    if not rows:
        return {}
    words = ", ".join(f"{key} = {word}" for key, word in rows[-1].nonfinite.items())
    return {"risexp.nonfinite": f"epoch {rows[-1].step}: {words}"}
