"""What a record says of a run: enough to train it again, and to say whether that gave the same.

The record is the run's folder, or what a store was sent of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from risexp.config.run import RunConfig
from risexp.errors import DataInvalid, InvalidInput
from risexp.runs.folder import RunFolder, is_name
from risexp.runs.journal_format import read_journal
from risexp.runs.labels import EXPERIMENT, read_labels
from risexp.runs.metrics import KEYS
from risexp.runs.source import Source, sources
from risexp.runs.spec import RunSpec

if TYPE_CHECKING:
    from risexp.tracking.client import FoundRun, TrackingClient

Values = Mapping[tuple[str, int], float]
"""Numbers by key and epoch."""

_DERIVED: Final = "best/"
"""Keys that repeat what other keys say."""
_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ReplayedRun:
    """One run as it is on record."""

    run: str
    place: str
    """Where the record is, for people."""
    config: RunConfig
    environment: Mapping[str, Any]
    """What its first attempt was computed with."""
    source: Source | None
    """The code of its first attempt, where it is known."""
    preset: str | None
    values: Values
    """All that is the same whenever the same run is computed again; times are not."""

    @property
    def epochs(self) -> int:
        """The last epoch on record."""
        return max((step for _, step in self.values), default=0)


def repeated(values: Mapping[tuple[str, int], float]) -> Values:
    """Of a record's numbers those that repeat."""
    return {
        (key, step): value
        for (key, step), value in values.items()
        if step > 0 and not key.startswith(_DERIVED) and key in KEYS and KEYS[key].repeats
    }


def recall_folder(folder: RunFolder) -> ReplayedRun:
    """What the folder of a run says.

    Raises:
        DataInvalid: It was edited, or the run never began.
    """
    environments = folder.environments()
    if not environments:
        raise DataInvalid(f"run {folder.run_id} never began: there is nothing to train again")
    known, labels = sources(folder.path), read_labels(folder.path)
    return ReplayedRun(
        run=folder.run_id,
        place=str(folder.path),
        config=folder.config(),
        environment=environments[0],
        source=known[0] if known else None,
        preset=None if labels is None else labels.preset,
        values=journal_values(folder),
    )


def journal_values(folder: RunFolder) -> Values:
    """The numbers of a run's journal that repeat, those that are not finite as well."""
    if not folder.journal.exists():
        return {}
    found: dict[tuple[str, int], float] = {}
    for row in read_journal(folder.journal).rows:
        words = {key: float(word) for key, word in row.nonfinite.items()}
        for key, value in {**row.values, **words}.items():
            found.setdefault((key, row.step), value)
    return repeated(found)


def recall_store(runs: "TrackingClient", name: str, place: str) -> ReplayedRun:
    """What a store says of a run.

    Args:
        runs: Of the store, from within `in_environment`.
        name: Of the run; or the store's own id of it.
        place: The store, for people.

    Raises:
        InvalidInput: There is no such run, or there are several of that name.
        DataInvalid: Its artifacts are not those of a run.
    """
    found = _found(runs, name, place)
    where = f"run {found.run_id} of {place}"
    environment, *_ = _attempts(runs, found.run_id, "environment.json", where)
    source, *_ = _attempts(runs, found.run_id, "source.json", where)
    told, config_of = _document(runs, found.run_id, "config.json", where), f"config.json of {where}"
    points = (point for key in found.keys for point in runs.history(found.run_id, key))
    return ReplayedRun(
        run=found.tags.get("risexp.run", found.run_id),
        place=where,
        config=RunSpec.from_json(told, config_of).config(config_of),
        environment=environment,
        source=Source.from_json(source, Path("source.json")),
        preset=found.tags.get("risexp.preset"),
        values=repeated({(each.key, each.step): each.value for each in points}),
    )


def _found(runs: "TrackingClient", name: str, place: str) -> "FoundRun":
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
            f"{' or '.join(each.run_id for each in found)}"
        )
    return found[0]


def _document(runs: "TrackingClient", run_id: str, name: str, where: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(runs.file(run_id, name))
    except ValueError:
        raise DataInvalid(f"{name} of {where} is no JSON") from None


def _attempts(runs: "TrackingClient", run_id: str, name: str, where: str) -> list[Any]:
    """A document that has a part for each attempt."""
    document = _document(runs, run_id, name, where)
    if not isinstance(document, list) or not document:
        raise DataInvalid(f"{name} of {where} does not hold what a run writes there")
    return document
