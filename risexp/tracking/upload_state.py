"""A run's folder as its sender sees it: what to send, and how far that has come.

It is read without torch, for a process of its own that has to begin quickly.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from risexp.config.run import RunConfig
from risexp.config.words import one_sentence
from risexp.core.durable import write_durably
from risexp.core.locks import file_lock
from risexp.errors import DataInvalid
from risexp.runs.journal_format import Contents, Note, Row, read_journal
from risexp.runs.labels import Labels, read_labels
from risexp.runs.spec import RunSpec
from risexp.training.plan import Plan

CONFUSION: Final = "confusion"
"""The event of a journal's line that holds which counts were taken for which."""
CALIBRATED: Final = "calibrated"
"""The event of the line that holds what calibration found."""
INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True)
class UploadProgress:
    """How far the record of a run has come in its store."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    store: str
    """`embedded`, or an address without secrets."""
    experiment_id: str = ""
    run_id: str = ""
    """The store's own name of the run; empty until it is known."""
    sent: int = 0
    """Bytes of the journal that are there."""
    attempts: int = 0
    """Attempts that they tell of."""
    time: int = 0
    """When the last of the lines that are there was written, in milliseconds since 1970, UTC."""
    described: bool = False
    """Whether configuration, plans and labels are there."""
    ending: str = ""
    """The hash of the outcome that is there; `interrupted` where the run ended without one."""


class RecordedOutcome(BaseModel):
    """What a record says of how a run ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: Literal["complete", "pruned", "aborted", "released", "interrupted", "failed"]
    reason: str
    sentence: str
    traceback: str | None = None


_PROGRESS: Final = TypeAdapter(UploadProgress)


@dataclass(frozen=True)
class Piece:
    """Some lines of a journal."""

    lines: tuple[Row | Note, ...]
    end: int
    """Bytes of the journal up to the end of the last one."""


@dataclass(frozen=True)
class UploadState:
    """The folder of one run; only who holds `sending` writes to it, and only its progress."""

    path: Path

    @property
    def run(self) -> str:
        """The run's name."""
        return self.path.name

    def lines(self, start: int = 0) -> Contents:
        """The whole lines of the journal from a byte on; none where there is no journal yet."""
        journal = self.path / "journal.jsonl"
        return read_journal(journal, start) if journal.exists() else Contents((), start, 0)

    def pieces(self, start: int, lines: int) -> Iterator[Piece]:
        """The whole lines from a byte on, at most so many at once."""
        contents = self.lines(start)
        if not contents.lines:
            return
        with (self.path / "journal.jsonl").open("rb") as file:
            file.seek(start)
            for place in range(0, len(contents.lines), lines):
                piece = contents.lines[place : place + lines]
                start += sum(len(file.readline()) for _ in piece)
                yield Piece(piece, start)

    def config(self) -> RunConfig:
        """The configuration, as it was given."""
        return self._given().config(str(self.path / "config.json"))

    @property
    def config_sha(self) -> str:
        """The hash of the canonical configuration, as it was written."""
        return self._given().sha

    def _given(self) -> RunSpec:
        with self._known("config.json", "configuration of a run") as document:
            return RunSpec.from_json(document, str(self.path / "config.json"))

    def plans(self) -> tuple[Plan, ...]:
        """The table of epochs."""
        with self._known("plans.json", "table of epochs") as document:
            return tuple(map(Plan.from_json, document))

    def labels(self) -> Labels:
        """What the record is filed under."""
        return read_labels(self.path) or Labels()

    def progress(self) -> UploadProgress | None:
        """How far the record has come; None where nothing was ever sent."""
        path = self.path / "mlflow.json"
        if not path.exists():
            return None
        try:
            return _PROGRESS.validate_json(path.read_bytes(), strict=True)
        except ValidationError as error:
            raise DataInvalid(f"{path}: {one_sentence(error)}") from None

    def save(self, progress: UploadProgress) -> None:
        """Remember how far it has come."""
        text = json.dumps(asdict(progress), indent=1)
        write_durably(self.path / "mlflow.json", text.encode())

    def ending(self) -> tuple[str, RecordedOutcome] | None:
        """How the run ended, and a hash of all that is said of it; None where nothing is."""
        path = self.path / "outcome.json"
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return hashlib.sha256(text).hexdigest(), RecordedOutcome.model_validate_json(text)
        except ValidationError as error:
            raise DataInvalid(f"{path}: {one_sentence(error)}") from None

    @contextmanager
    def _known(self, name: str, kind: str) -> Iterator[Any]:
        """What a document holds; whatever is wrong with it is said of it."""
        path = self.path / name
        try:
            yield json.loads(path.read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            raise DataInvalid(f"{path} is no {kind}: put a copy of it back") from None

    def unsent(self) -> int:
        """Lines of the journal, and words on how it ended, that are not in the store."""
        progress = self.progress() or UploadProgress("")
        ending = self.ending()
        due = INTERRUPTED if ending is None else ending[0]
        contents = self.lines(progress.sent)
        untold = progress.ending != due and (progress.sent > 0 or bool(contents.lines))
        return len(contents.lines) + untold

    def sending(self, timeout_s: float = 0.0) -> AbstractContextManager[None]:
        """Keep other uploaders of the same run out.

        Raises:
            Busy: Another one is at work.
        """
        busy = f"another process sends the record of {self.run}"
        return file_lock(self.path / ".mlflow.lock", busy, timeout_s)


def recorded_as(folder: Path) -> str | None:
    """MLflow's own id of a run, for links to it; None while it is not known."""
    progress = UploadState(folder).progress()
    return None if progress is None else progress.run_id


def link(folder: Path, server: str) -> str | None:
    """The page of a run under the address of a tracking server; None while its id is not known."""
    progress = UploadState(folder).progress()
    if progress is None:
        return None
    page = f"/#/experiments/{progress.experiment_id}/runs/{progress.run_id}"
    return server.rstrip("/") + page
