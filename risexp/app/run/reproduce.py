"""Trains a run again from its record alone, and says whether that gave the same."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from risexp.app.run.devices import device_named
from risexp.app.run.run import Callbacks, Machine
from risexp.app.run.train import Finished, train
from risexp.app.run.warm_start import recorded, warm_start
from risexp.callbacks.early_stopping import Until
from risexp.errors import DataInvalid, EnvironmentFailed, InvalidInput, RisexpError
from risexp.runs.folder import RunFolder, find_run, is_run
from risexp.runs.source import Source, sources
from risexp.runs.spec import Labels
from risexp.tracking.replay import ReplayedRun, journal_values, read_folder, read_store
from risexp.tracking.schema import opened
from risexp.tracking.stores import Failure, TrackingStore, attempt, chosen_store, in_environment
from risexp.tracking.uploader_process import tracking_of

TAG: Final = "risexp.reproduces"
"""Names, of a run, the one that it is to be the same as."""


@dataclass(frozen=True)
class ChangedValue:
    """A number that is not what the record says."""

    key: str
    epoch: int
    then: float
    now: float | None
    """None where there is none any more."""

    @property
    def size(self) -> float:
        """How far they are apart."""
        return float("inf") if self.now is None else abs(self.now - self.then)

    def as_json(self) -> dict[str, Any]:
        """As plain values; what is no finite number is a word."""
        numbers = {"then": self.then, "now": self.now}
        told = {
            name: value if value is None or math.isfinite(value) else str(value)
            for name, value in numbers.items()
        }
        return {"key": self.key, "epoch": self.epoch, **told}


@dataclass(frozen=True)
class Reproduced:
    """A run beside itself, trained again."""

    recall: ReplayedRun
    finished: Finished
    compared: int
    """Numbers of the record."""
    differences: tuple[ChangedValue, ...]
    """The earliest first."""
    changed: Mapping[str, tuple[str, str]]
    """What the runs were computed with, where it differs: then and now, by name."""

    @property
    def same(self) -> bool:
        """Whether every number is the same, to the bit."""
        return not self.differences

    def apart(self, key: str) -> float:
        """How far the runs are apart in one number, at most."""
        return max((each.size for each in self.differences if each.key == key), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return {
            "run": self.recall.run,
            "record": self.recall.place,
            "again": self.finished.folder.run_id,
            "config_sha": self.recall.config.sha(),
            "epochs": self.recall.epochs,
            "same": self.same,
            "compared": self.compared,
            "differing": len(self.differences),
            "first": self.differences[0].as_json() if self.differences else None,
            "changed": {name: list(pair) for name, pair in self.changed.items()},
        }


def recalled(name: str, option: str | None) -> ReplayedRun:
    """The record of a run: its folder here, or else what a store has of it.

    Args:
        name: Of the run, or of its folder; or MLflow's own id of it.
        option: The address of a store that is asked instead of the folder.

    Raises:
        RisexpError: There is no such run, or its record does not hold what it needs.
    """
    store = chosen_store(option)
    if store is None or (option is None and (is_run(name) or "/" in name)):
        return _from_folder(find_run(name))
    if store.database is not None and not store.database.exists():
        raise InvalidInput(
            f"there is no run {name!r} in a folder here, and no {store.database}: name another one"
        )
    with in_environment(store):
        found = attempt(lambda: read_store(opened(store), name, _place(store)))
    if not isinstance(found, Failure):
        return found
    if isinstance(found.error, RisexpError):
        raise found.error
    raise EnvironmentFailed(f"cannot read {_place(store)}: {found.sentence}")


def _from_folder(folder: RunFolder) -> ReplayedRun:
    warm = warm_start(folder.config())
    if warm is not None and recorded(folder) is not None:
        # What the run began with is on record, so that this only compares it.
        warm.record(folder)
    return read_folder(folder)


def _place(store: TrackingStore) -> str:
    return f"the store {store.name}"


def reproduce(recall: ReplayedRun, console: Console, tracking: str | None = None) -> Reproduced:
    """Train a run again, as far as its record goes, on the device and threads it had.

    Args:
        recall: Its record.
        console: Where it is watched.
        tracking: Where the new run is recorded, as of `risexp train`.

    Raises:
        RisexpError: It cannot be trained here.
    """
    if recall.epochs == 0:
        raise DataInvalid(f"{recall.place} holds no epoch of run {recall.run}: nothing to compare")
    then = recall.environment
    machine = Machine(device_named(str(then["device"])), int(then["threads"]))
    labels = Labels(
        preset=recall.preset,
        tags={TAG: recall.run},
        note=f"Run `{recall.run}` once more, from its record.",
    )
    company = Callbacks(enders=(Until(recall.epochs),))
    finished = train(recall.config, machine, console, tracking_of(tracking, labels), company)
    now = journal_values(finished.folder)
    differences = sorted(
        (
            ChangedValue(key, epoch, value, now.get((key, epoch)))
            for (key, epoch), value in recall.values.items()
            if not _same(now.get((key, epoch)), value)
        ),
        key=lambda each: (each.epoch, each.key),
    )
    return Reproduced(
        recall,
        finished,
        len(recall.values),
        tuple(differences),
        _changed(recall, finished.folder),
    )


def _same(now: float | None, then: float) -> bool:
    """No number is the same as no number."""
    return now is not None and (now == then or (math.isnan(now) and math.isnan(then)))


def _changed(recall: ReplayedRun, folder: RunFolder) -> Mapping[str, tuple[str, str]]:
    """What the runs were computed with, where it differs."""
    known = sources(folder.path)
    before = _flat(recall.environment, recall.source)
    after = _flat(folder.environments()[0], known[0] if known else None)
    names = dict.fromkeys((*before, *after))
    pairs = {name: (before.get(name, "unknown"), after.get(name, "unknown")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flat(environment: Mapping[str, Any], source: Source | None) -> dict[str, str]:
    packages = environment.get("packages", {})
    plain = {name: str(value) for name, value in environment.items() if name != "packages"}
    found = plain | {name: str(value) for name, value in packages.items()}
    if source is not None and source.commit is not None:
        found["commit"] = source.commit[:12] + (" and a diff" if source.dirty else "")
    return found
