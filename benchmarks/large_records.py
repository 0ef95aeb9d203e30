"""Writes the records of many runs into an embedded store at once, like that of one sent run.

MLflow's client takes more than a second of processor time a run: too long for a thousand. Here its
rows are copied, with the values of each journal, past the client.
"""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from risexp.runs.folder import RunFolder
from risexp.runs.journal import Contents
from risexp.runs.spec import Labels
from risexp.tracking.payload import STATUS, uids_of
from risexp.tracking.sent_metrics import selected_keys, sent_values
from risexp.tracking.upload_state import UploadProgress, UploadState

Row = Sequence[object]


@dataclass(frozen=True)
class Copied:
    """A run that was not sent, and its rows by table."""

    folder: RunFolder
    run_id: str
    state: UploadState
    contents: Contents
    labels: Labels
    ending: tuple[str, str]
    """Hash and status of its outcome."""

    @classmethod
    def of(cls, folder: RunFolder) -> "Copied":
        """Read a run's folder."""
        state = UploadState(folder.path)
        ending = state.ending()
        if ending is None:
            raise SystemExit(f"run {folder.run_id} has not ended")
        sha, outcome = ending
        lines, run_id = state.lines(), uuid.uuid4().hex
        return cls(folder, run_id, state, lines, state.labels(), (sha, STATUS[outcome.status]))

    def tags(self) -> Mapping[str, str]:
        """The tags in which it differs from other runs."""
        (uid, *_) = uids_of(self.state, self.labels, self.contents.lines[0].time)
        return {
            "risexp.run": self.folder.run_id,
            "mlflow.runName": self.folder.run_id,
            "risexp.uid": uid,
            "risexp.trial": str(self.labels.trial),
        }

    def metrics(self) -> Iterator[Row]:
        """Its values as MLflow's table holds them."""
        keys = selected_keys(self.folder.plans())
        for row in self.contents.rows:
            for key, value in sent_values(row, keys).items():
                yield key, value, row.time, self.run_id, row.step, 0

    def save(self, model: UploadProgress) -> None:
        """Write that it was sent."""
        self.state.save(
            replace(
                model,
                run_id=self.run_id,
                sent=self.contents.end,
                time=self.contents.lines[-1].time,
                ending=self.ending[0],
            )
        )


def copy_records(database: Path, sent: RunFolder, folders: Sequence[RunFolder]) -> None:
    """Make the records of these runs after that of a run which was sent."""
    model = UploadState(sent.path).progress()
    if model is None:
        raise SystemExit(f"run {sent.run_id} was not sent")
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        for folder in folders:
            copied = Copied.of(folder)
            _copy(connection, copied, model.run_id)
            copied.save(model)
        connection.commit()


def _copy(connection: sqlite3.Connection, copied: Copied, model: str) -> None:
    mine, lines = copied.run_id, copied.contents.lines
    (run,) = connection.execute("SELECT * FROM runs WHERE run_uuid = ?", (model,))
    changed = {
        "run_uuid": mine,
        "name": copied.folder.run_id,
        "status": copied.ending[1],
        "start_time": lines[0].time,
        "end_time": lines[-1].time,
        "artifact_uri": run["artifact_uri"].replace(model, mine),
    }
    _insert(connection, "runs", [tuple({**dict(run), **changed}.values())])
    tags = connection.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (model,))
    values = {**dict(tags.fetchall()), **copied.tags()}
    _insert(connection, "tags", [(key, value, mine) for key, value in values.items()])
    params = copied.labels.searched.items()
    _insert(connection, "params", [(key, str(value), mine) for key, value in params])
    metrics = [*copied.metrics()]
    _insert(connection, "metrics", metrics)
    last = {row[0]: row for row in metrics}
    _insert(
        connection,
        "latest_metrics",
        [(key, value, at, step, 0, run) for key, value, at, run, step, _ in last.values()],
    )


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    if rows:
        places = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - our own words
