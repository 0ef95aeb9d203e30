"""Damaged and missing checkpoints of a study's trials; no file is moved."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from risexp.app.doctor.status import StudyStatus
from risexp.errors import CheckpointDamaged, RisexpError
from risexp.runs.folder import RunFolder
from risexp.training.checkpoint_manifest import committed, read_manifest, unpacked


def damaged_checkpoints(status: StudyStatus) -> list[str]:
    """Damaged or missing checkpoints that a trial needs; it is not being trained."""
    return [
        f"trial {number}: {fault}"
        for number, run in _idle(status)
        for fault in _faults(number, status, run)
    ]


def superseded_checkpoints(status: StudyStatus) -> list[str]:
    """Damaged checkpoints that are neither a trial's newest nor its best."""
    found = list[str]()
    for number, run in _idle(status):
        places = _places(run)
        spare = [place for place in places if place[0] not in _needed(places)]
        found += [f"trial {number}: {fault}" for fault in _damages(spare)]
    return found


def _idle(status: StudyStatus) -> Iterator[tuple[int, RunFolder]]:
    """Trials that are not being trained, with their runs."""
    for number, folder in status.folders.items():
        if not folder.trained and number not in status.living:
            yield number, folder.run


def _faults(number: int, status: StudyStatus, run: RunFolder) -> Iterator[str]:
    """Faults of the checkpoints that a trial needs; no file is moved."""
    places = _places(run)
    needed = _needed(places)
    yield from _damages([place for place in places if place[0] in needed])
    if number not in status.in_state("complete"):
        return
    if not places:
        yield "it is complete, and no checkpoint of it is kept"
    for epoch in sorted(needed - {epoch for epoch, _ in places}):
        yield f"the checkpoint of epoch {epoch}, its best, is missing"


def _places(run: RunFolder) -> list[tuple[int, Path]]:
    """Epochs of a run's checkpoints and their folders."""
    return [(epoch, folder) for folder in run.attempts() for epoch in committed(folder)]


def _needed(places: list[tuple[int, Path]]) -> set[int]:
    """The newest epoch, and the best as its checkpoint knows it."""
    if not places:
        return set()
    epoch, folder = max(places)
    # Unpacking tells of a damaged manifest.
    with suppress(CheckpointDamaged):
        best = read_manifest(folder, epoch).best_epoch
        return {epoch} if best is None else {epoch, best}
    return {epoch for epoch, _ in places}


def _damages(places: list[tuple[int, Path]]) -> Iterator[str]:
    for epoch, folder in places:
        try:
            unpacked(folder, epoch)
        except RisexpError as error:
            yield str(error)
