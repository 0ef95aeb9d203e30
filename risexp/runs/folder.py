"""The folder of a run: its configuration, plans, journal, checkpoints and outcome."""

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from risexp.config.run import RunConfig
from risexp.config.section import nearest
from risexp.core.durable import write_durably
from risexp.core.home import home, known_home_id
from risexp.core.locks import file_lock
from risexp.core.spare import (
    exists_either,
    is_damaged,
    mend,
    set_both_aside,
)
from risexp.errors import DataInvalid, InvalidInput
from risexp.runs.journal_writer import Journal
from risexp.runs.outcome import Outcome
from risexp.runs.source import SOURCES, sources
from risexp.runs.spec import (
    CONFIG,
    LABELS,
    PLANS,
    Labels,
    RunSpec,
    read_config,
    read_document,
    read_labels,
    read_plans,
    read_spec,
    write_document,
    writing,
)
from risexp.training.plan import Plan

if TYPE_CHECKING:
    from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENVIRONMENT, _OUTCOME = "environment.json", "outcome.json"
DOCUMENTS: Final = (CONFIG, PLANS, LABELS, _ENVIRONMENT, SOURCES)
"""The small files with spare copies."""
_ATTEMPT: Final = re.compile(r"attempt-\d{2,}")
_PROBE_BYTES: Final = 1 << 18
"""Written to see whether a home has room."""


@dataclass(frozen=True)
class RunFolder:
    """One run on disk; only the process that trains it writes to the folder."""

    path: Path

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """The file of the run's journal."""
        return self.path / "journal.jsonl"

    @property
    def config_sha(self) -> str:
        """Hash of the canonical configuration as it was written."""
        return read_spec(self.path).sha

    def config(self) -> RunConfig:
        """The configuration as the user gave it."""
        return read_config(self.path)

    def plans(self) -> tuple[Plan, ...]:
        """One plan per epoch, as made before the run."""
        return read_plans(self.path)

    def environments(self) -> list[Mapping[str, Any]]:
        """Versions, threads and device of each attempt."""
        path = self.path / _ENVIRONMENT
        return list(read_document(path, list)) if exists_either(path) else []

    def outcome(self) -> Outcome | None:
        """How the run ended; None while it runs, or if it was killed."""
        path = self.path / _OUTCOME
        return Outcome.from_json(path.read_bytes(), path) if path.exists() else None

    def attempts(self) -> tuple[Path, ...]:
        """The folders of checkpoints, the first attempt first."""
        folders = (self.path / "checkpoints").glob("attempt-*")
        return tuple(sorted(path for path in folders if _ATTEMPT.fullmatch(path.name)))

    @property
    def owner(self) -> "CheckpointOwner":
        """The run, as its checkpoints name it."""
        from risexp.training.checkpoint_store import CheckpointOwner

        return CheckpointOwner(self.run_id, self.config_sha)

    def checkpoints(self) -> "CheckpointStore":
        """The store of the last attempt."""
        return self._store(self.attempts()[-1])

    def open_journal(self) -> Journal:
        """The journal, open for new lines."""
        return Journal(self.journal, self.run_id, attempt=max(len(self.attempts()), 1))

    def begin(self, environment: Mapping[str, Any]) -> "CheckpointStore":
        """Start an attempt: make the store of its checkpoints."""
        with writing(self.path):
            folder = self.path / "checkpoints" / f"attempt-{len(self.attempts()) + 1:02d}"
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700)
            for name in DOCUMENTS:
                mend(self.path / name)
            write_document(self.path / _ENVIRONMENT, [*self.environments(), dict(environment)])
            (self.path / _OUTCOME).unlink(missing_ok=True)
        return self._store(folder)

    def close(self, outcome: Outcome) -> None:
        """Write how the run ended."""
        with writing(self.path):
            text = json.dumps(outcome.as_json(), indent=1, allow_nan=False)
            write_durably(self.path / _OUTCOME, text.encode())

    def mend(self, config: RunConfig, plans: Sequence[Plan], labels: Labels) -> list[str]:
        """Mend damaged small files of a run that this process owns; returns their names.

        They are set aside. What is damaged in both copies is made anew from the arguments; of the
        machine and the code of earlier attempts nothing is known any more.
        """
        with writing(self.path):
            mended = [name for name in DOCUMENTS if mend(self.path / name)]
        rebuilt: dict[str, tuple[Callable[[], object], object]] = {
            PLANS: (self.plans, [plan.as_json() for plan in plans]),
            CONFIG: (self.config, RunSpec.of(config).as_json()),
            LABELS: (lambda: read_labels(self.path), asdict(labels)),
            _ENVIRONMENT: (self.environments, None),
            SOURCES: (lambda: sources(self.path), None),
            _OUTCOME: (self.outcome, None),
        }
        unreadable = [name for name, (read, _) in rebuilt.items() if _is_unreadable(read)]
        with writing(self.path):
            for name in unreadable:
                set_both_aside(self.path / name)
                document = rebuilt[name][1]
                if document is not None:
                    write_document(self.path / name, document)
        return mended + unreadable

    def held(self) -> AbstractContextManager[None]:
        """Lock the run, so that no other process trains it."""
        busy = f"another process trains {self.run_id}: wait for it, or end it"
        return file_lock(self.path / ".lock", busy)

    def _store(self, folder: Path) -> "CheckpointStore":
        # Torch, which checkpoints need, takes longer to load than a run to be shown.
        from risexp.training.checkpoint_store import CheckpointStore

        return CheckpointStore(folder, self.owner)


def damaged_documents(folder: Path) -> list[str]:
    """Small files of a run that are missing or damaged, whose spare copies are read."""
    return [name for name in DOCUMENTS if is_damaged(folder / name)]


def _is_unreadable(read: Callable[[], object]) -> bool:
    try:
        read()
    except DataInvalid:
        return True
    return False


def runs_home() -> Path:
    """The folder of all runs."""
    return home().absolute() / "mlruns" / "runs"


def home_fault(identity: str | None = None) -> str | None:
    """Why no run can be written into this home, in a sentence; None if one can.

    A home of another identity is none: a folder of several machines may not be mounted.
    """
    folder = runs_home()
    if identity is not None and identity != known_home_id():
        return f"the home in {home().absolute()} is not the one that this process began in"
    probe = folder / f".probe-{secrets.token_hex(8)}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            write_durably(probe, bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        return f"cannot write into {folder}: {error.strerror}"
    return None


def new_run_id(now: datetime | None = None) -> str:
    """A new name: `train-`, date, time (UTC) and six random digits."""
    moment = datetime.now(UTC) if now is None else now
    return f"train-{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def is_name(run_id: str) -> bool:
    """True if the text is a valid name of a run."""
    return _ID.fullmatch(run_id) is not None


def create_run(run_id: str, config: RunConfig, plans: Sequence[Plan]) -> RunFolder:
    """Make the folder of a new run, with its plans and configuration.

    The configuration is written last and makes it a run; a folder without it, left by a process
    that was killed, is used again.
    """
    if not is_name(run_id):
        raise InvalidInput(f"{run_id!r} is no name of a run: use letters, digits, and . _ -")
    path = runs_home() / run_id
    with writing(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if exists_either(path / CONFIG):
            raise InvalidInput(
                f"there is a run {run_id!r} already: go on with it, or name another one"
            )
        write_document(path / PLANS, [plan.as_json() for plan in plans])
        write_document(path / CONFIG, RunSpec.of(config).as_json())
    return RunFolder(path)


def list_runs() -> tuple[RunFolder, ...]:
    """All runs, sorted by name."""
    folders = sorted(runs_home().iterdir()) if runs_home().is_dir() else []
    return tuple(RunFolder(path) for path in folders if exists_either(path / CONFIG))


def is_run(run_id: str) -> bool:
    """True if a run of this name exists."""
    return exists_either(runs_home() / run_id / CONFIG)


def find_run(name: str) -> RunFolder:
    """A run by its name or by the path of its folder."""
    if is_name(name) and is_run(name):
        return RunFolder(runs_home() / name)
    if os.sep not in name:
        names = [run.run_id for run in list_runs()]
        hint = nearest(name, names) or f"; the last of {len(names)} is {max(names, default='none')}"
        if not Path(name).is_dir():
            raise InvalidInput(f"there is no run {name!r} in {runs_home()}{hint}")
    path = Path(name).absolute()
    if not exists_either(path / CONFIG):
        raise InvalidInput(f"{name} holds no {CONFIG}: it is no folder of a run")
    return RunFolder(path)
