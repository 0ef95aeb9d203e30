"""Trains a run again from its record, and compares the numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from rich.console import Console

from risexp.app.run.machine import Machine, recorded_machine
from risexp.app.run.train import Finished, train
from risexp.app.run.warm_start import recorded, warm_start
from risexp.callbacks.early_stopping import Until
from risexp.callbacks.run_loop import Callbacks
from risexp.errors import DataInvalid, EnvironmentFailed, InvalidInput, RisexpError
from risexp.runs.folder import RunFolder, find_run, is_run
from risexp.runs.source import Source, sources
from risexp.runs.spec import Labels
from risexp.tracking.replay import ReplayedRun, journal_values, read_folder, read_store
from risexp.tracking.schema import opened
from risexp.tracking.stores import Failure, attempt, chosen_store, in_environment
from risexp.tracking.uploader_process import tracking_of

TAG: Final = "risexp.reproduces"
"""Tag with the name of the reproduced run."""


@dataclass(frozen=True)
class ChangedValue:
    """A number that differs from the record."""

    key: str
    epoch: int
    then: float
    now: float | None
    """None if the new run has no such number."""

    @property
    def size(self) -> float:
        """Distance of both numbers."""
        return float("inf") if self.now is None else abs(self.now - self.then)

    def as_json(self) -> dict[str, Any]:
        """Plain values; a number that is not finite becomes a string."""
        numbers = {"then": self.then, "now": self.now}
        plain = {
            name: value if value is None or math.isfinite(value) else str(value)
            for name, value in numbers.items()
        }
        return {"key": self.key, "epoch": self.epoch, **plain}


@dataclass(frozen=True)
class Reproduced:
    """A run and its reproduction."""

    recall: ReplayedRun
    finished: Finished
    compared: int
    differences: tuple[ChangedValue, ...]
    """The earliest first."""
    changed: Mapping[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """True if every number is the same to the bit."""
        return not self.differences

    def apart(self, key: str) -> float:
        """Largest distance of one metric."""
        return max((each.size for each in self.differences if each.key == key), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
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
    """Read the record of a run from its folder here, or from the store that `option` names."""
    store = chosen_store(option)
    if store is None or (option is None and (is_run(name) or "/" in name)):
        return _from_folder(find_run(name))
    if store.database is not None and not store.database.exists():
        raise InvalidInput(
            f"there is no run {name!r} in a folder here, and no {store.database}: name another one"
        )
    place = f"the store {store.name}"
    with in_environment(store):
        record = attempt(lambda: read_store(opened(store), name, place))
    if not isinstance(record, Failure):
        return record
    if isinstance(record.error, RisexpError):
        raise record.error
    raise EnvironmentFailed(f"cannot read {place}: {record.sentence}")


def _from_folder(folder: RunFolder) -> ReplayedRun:
    warm = warm_start(folder.config())
    if warm is not None and recorded(folder) is not None:
        # The origin is in the journal, so that this only compares it.
        warm.record(folder)
    return read_folder(folder)


def reproduce(recall: ReplayedRun, console: Console, tracking: str | None = None) -> Reproduced:
    """Train a run again for its recorded epochs, on the same device, threads and backend."""
    if recall.epochs == 0:
        raise DataInvalid(f"{recall.place} holds no epoch of run {recall.run}: nothing to compare")
    then = recall.environment
    machine = recorded_machine(then, Machine(torch.device("cpu"), 1))
    labels = Labels(
        preset=recall.preset,
        tags={TAG: recall.run},
        note=f"Run `{recall.run}` once more, from its record.",
    )
    callbacks = Callbacks(enders=(Until(recall.epochs),))
    finished = train(recall.config, machine, console, tracking_of(tracking, labels), callbacks)
    now = journal_values(finished.folder)
    differences = sorted(
        (
            ChangedValue(key, epoch, value, now.get((key, epoch)))
            for (key, epoch), value in recall.values.items()
            if not _same(now.get((key, epoch)), value)
        ),
        key=lambda each: (each.epoch, each.key),
    )
    changed = _changed(recall, finished.folder)
    return Reproduced(recall, finished, len(recall.values), tuple(differences), changed)


def _same(now: float | None, then: float) -> bool:
    """True for equal numbers, and for two NaN."""
    return now is not None and (now == then or (math.isnan(now) and math.isnan(then)))


def _changed(recall: ReplayedRun, folder: RunFolder) -> Mapping[str, tuple[str, str]]:
    known = sources(folder.path)
    before = _flat(recall.environment, recall.source)
    after = _flat(folder.environments()[0], known[0] if known else None)
    names = dict.fromkeys((*before, *after))
    pairs = {name: (before.get(name, "unknown"), after.get(name, "unknown")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flat(environment: Mapping[str, Any], source: Source | None) -> dict[str, str]:
    packages = environment.get("packages", {})
    plain = {name: str(value) for name, value in environment.items() if name != "packages"}
    flat = plain | {name: str(value) for name, value in packages.items()}
    if source is not None and source.commit is not None:
        flat["commit"] = source.commit[:12] + (" and a diff" if source.dirty else "")
    return flat
