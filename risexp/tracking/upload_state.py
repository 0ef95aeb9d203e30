"""A run's folder as the uploader reads it, without torch, and how far the upload has come."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from risexp.core.durable import write_durably
from risexp.core.locks import file_lock
from risexp.errors import DataInvalid
from risexp.runs.journal import Contents, read_journal
from risexp.runs.spec import Labels, read_labels, validated

CONFUSION: Final = "confusion"
"""The event of a journal's note that holds the confusion of source counts."""
CALIBRATED: Final = "calibrated"
"""The event of the note that holds the result of the calibration."""
INTERRUPTED: Final = "interrupted"
_HTTP: Final = ("http://", "https://")


@dataclass(frozen=True)
class UploadProgress:
    """How much of a run's record is in its store."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    store: str
    """`embedded`, or an address without secrets."""
    experiment_id: str = ""
    run_id: str = ""
    """MLflow's id of the run; empty until the run is created."""
    sent: int = 0
    """Bytes of the journal that are uploaded."""
    attempts: int = 0
    """Attempts in these bytes."""
    time: int = 0
    """Time of the last uploaded line, in milliseconds since 1970, UTC."""
    described: bool = False
    """True once configuration, plans and labels are uploaded."""
    held: Mapping[str, list[int]] = field(default_factory=dict)
    """Steps, by metric, that another home has sent: they are not sent again."""
    ending: str = ""
    """Hash of the uploaded outcome; `interrupted` if the run ended without one."""


class RecordedOutcome(BaseModel):
    """The part of `outcome.json` that is uploaded."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: Literal["complete", "pruned", "aborted", "released", "interrupted", "failed"]
    reason: str
    sentence: str
    traceback: str | None = None


_PROGRESS: Final = TypeAdapter(UploadProgress)
_OUTCOME: Final = TypeAdapter(RecordedOutcome)


@dataclass(frozen=True)
class UploadState:
    """The folder of one run; only the holder of the lock `sending` writes to it."""

    path: Path

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.path.name

    def lines(self, start: int = 0) -> Contents:
        """The whole lines of the journal from a byte on; none if there is no journal yet."""
        return read_journal(self.path / "journal.jsonl", start)

    def pieces(self, start: int, size: int) -> Iterator[Contents]:
        """The whole lines from a byte on, at most `size` lines at once."""
        contents = self.lines(start)
        for first in range(0, len(contents.lines), size):
            last = first + size
            end = contents.ends[last - 1] if last < len(contents.lines) else contents.end
            yield replace(contents, lines=contents.lines[first:last], end=end)

    def labels(self) -> Labels:
        """The labels of the run, or the default ones."""
        return read_labels(self.path) or Labels()

    def progress(self) -> UploadProgress | None:
        """How far the upload has come; None if nothing was uploaded, or that is not known.

        After a damaged file all is uploaded again into the same run, which holds no value twice.
        """
        path = self.path / "mlflow.json"
        if not path.exists():
            return None
        try:
            return validated(_PROGRESS, path.read_bytes(), path)
        except DataInvalid:
            return None

    def forget(self) -> None:
        """Upload all from the beginning next time: into the same run, if its store still has it."""
        (self.path / "mlflow.json").unlink(missing_ok=True)

    def save(self, progress: UploadProgress) -> None:
        """Write how far the upload has come."""
        text = json.dumps(asdict(progress), indent=1)
        write_durably(self.path / "mlflow.json", text.encode())

    def ending(self) -> tuple[str, RecordedOutcome] | None:
        """The outcome of the run with its hash; None if there is no outcome."""
        path = self.path / "outcome.json"
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        outcome = validated(_OUTCOME, text, path, strict=None)
        return hashlib.sha256(text).hexdigest(), outcome

    def unsent(self) -> int:
        """Lines of the journal, plus one for the outcome, that are not in the store yet."""
        progress = self.progress() or UploadProgress("")
        ending = self.ending()
        due = INTERRUPTED if ending is None else ending[0]
        lines = self.lines(progress.sent).lines
        return len(lines) + (progress.ending != due and (progress.sent > 0 or bool(lines)))

    def sending(self, timeout_s: float = 0.0) -> AbstractContextManager[None]:
        """Lock the upload of this run."""
        busy = f"another process sends the record of {self.run}"
        return file_lock(self.path / ".mlflow.lock", busy, timeout_s)


def recorded_as(folder: Path) -> str | None:
    """MLflow's id of a run; None if it is not known yet."""
    progress = UploadState(folder).progress()
    return None if progress is None else progress.run_id


def run_page(store: str, experiment_id: str, run_id: str) -> str:
    """Web address of a run, or the part after a server's address if the store is no server."""
    return f"{experiment_page(store, experiment_id)}/runs/{run_id}"


def experiment_page(store: str, experiment_id: str) -> str:
    """Web address of an experiment, likewise."""
    fragment = f"#/experiments/{experiment_id}"
    return f"{store.rstrip('/')}/{fragment}" if store.startswith(_HTTP) else fragment


def page_in_markdown(page: str) -> str:
    """A page as a link if it is a whole address, else as code."""
    return f"[{page}]({page})" if page.startswith(_HTTP) else f"`{page}`"
