"""Reads the record of a run, from its folder or from a store, to train it again and compare."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from risexp.config.run import RunConfig
from risexp.errors import DataInvalid, InvalidInput
from risexp.runs.folder import RunFolder, is_name
from risexp.runs.journal import read_journal
from risexp.runs.metrics import KEYS
from risexp.runs.source import Source, sources
from risexp.runs.spec import EXPERIMENT, RunSpec, read_labels

if TYPE_CHECKING:
    from risexp.tracking.client import FoundRun, TrackingClient

Values = Mapping[tuple[str, int], float]

_DERIVED: Final = "best/"
"""Keys that repeat the values of other keys."""
_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ReplayedRun:
    """The record of one run."""

    run: str
    place: str
    """Where the record is, for messages."""
    config: RunConfig
    environment: Mapping[str, Any]
    """Versions, threads and device of the first attempt."""
    source: Source | None
    """The code of the first attempt, if it is known."""
    preset: str | None
    values: Values
    """All values that are the same if the run is computed again; times are not."""

    @property
    def epochs(self) -> int:
        """The last recorded epoch."""
        return max((step for _, step in self.values), default=0)


def repeated(values: Values) -> Values:
    """The values that are the same if a run is computed again."""
    return {
        (key, step): value
        for (key, step), value in values.items()
        if step > 0 and not key.startswith(_DERIVED) and key in KEYS and KEYS[key].repeats
    }


def read_folder(folder: RunFolder) -> ReplayedRun:
    """The record in a run's folder."""
    environments = folder.environments()
    if not environments:
        raise DataInvalid(f"run {folder.run_id} never began: there is nothing to train again")
    codes, labels = sources(folder.path), read_labels(folder.path)
    return ReplayedRun(
        run=folder.run_id,
        place=str(folder.path),
        config=folder.config(),
        environment=environments[0],
        source=codes[0] if codes else None,
        preset=None if labels is None else labels.preset,
        values=journal_values(folder),
    )


def journal_values(folder: RunFolder) -> Values:
    """The values of a run's journal that are repeatable, including those that are not finite."""
    values: dict[tuple[str, int], float] = {}
    for row in read_journal(folder.journal).rows:
        words = {key: float(word) for key, word in row.nonfinite.items()}
        for key, value in {**row.values, **words}.items():
            values.setdefault((key, row.step), value)
    return repeated(values)


def read_store(runs: "TrackingClient", name: str, place: str) -> ReplayedRun:
    """The record of the run with a name, or with MLflow's id; `place` names the store."""
    run = _find(runs, name, place)
    where = f"run {run.run_id} of {place}"
    config_name = f"config.json of {where}"
    config = RunSpec.from_json(_document(runs, run, "config.json", where), config_name)
    source = _first_attempt(runs, run, "source.json", where)
    points = (point for key in run.keys for point in runs.history(run.run_id, key))
    return ReplayedRun(
        run=run.tags.get("risexp.run", run.run_id),
        place=where,
        config=config.config(config_name),
        environment=_first_attempt(runs, run, "environment.json", where),
        source=Source.from_json(source, Path("source.json")),
        preset=run.tags.get("risexp.preset"),
        values=repeated({(point.key, point.step): point.value for point in points}),
    )


def _find(runs: "TrackingClient", name: str, place: str) -> "FoundRun":
    if not is_name(name):
        raise InvalidInput(f"{name!r} is no name of a run: use letters, digits, and . _ -")
    by_id = _ID.fullmatch(name) is not None
    field = "attributes.run_id" if by_id else "tags.`risexp.run`"
    found = runs.search(EXPERIMENT, f"{field} = '{name}'")
    if not found:
        raise InvalidInput(f"there is no run {name!r}, neither in a folder here nor in {place}")
    if len(found) > 1:
        raise InvalidInput(
            f"{place} has {len(found)} runs {name!r}, of several homes: name one by its id, "
            f"{' or '.join(run.run_id for run in found)}"
        )
    return found[0]


def _document(runs: "TrackingClient", run: "FoundRun", name: str, where: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(runs.file(run.run_id, name))
    except ValueError:
        raise DataInvalid(f"{name} of {where} is no JSON") from None


def _first_attempt(runs: "TrackingClient", run: "FoundRun", name: str, where: str) -> Any:  # noqa: ANN401 - JSON
    """The first entry of a document that has one entry per attempt."""
    document = _document(runs, run, name, where)
    if not isinstance(document, list) or not document:
        raise DataInvalid(f"{name} of {where} does not hold what a run writes there")
    return document[0]
