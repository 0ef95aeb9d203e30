"""Has a run recorded while it is trained, without the training ever waiting for it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from risexp.errors import InvalidInput
from risexp.runs.labels import Labels, read_labels, write_labels
from risexp.runs.source import keep_source
from risexp.tracking.stores import OFF, VARIABLE, TrackingStore, chosen_store, store_again
from risexp.tracking.upload_state import UploadState

WAIT: Final = "RISEXP_TRACKING_WAIT_S"
"""Names, in the environment, how long a run that has ended waits for its record."""
_WAIT_S: Final = 60.0


@dataclass(frozen=True)
class Tracking:
    """Where a run is recorded besides its own folder, and under which labels."""

    option: str | None = None
    """`embedded`, `off`, or an address; None: the environment's, or that of an earlier attempt."""
    labels: Labels = field(default_factory=Labels)
    wait_s: float = _WAIT_S
    """How long a run that has ended waits, at most."""


def tracking_of(option: str | None, labels: Labels) -> Tracking:
    """What a command line and its environment say of tracking.

    Raises:
        InvalidInput: There can be no such store, or no such time.
    """
    chosen_store(option)
    text = os.environ.get(WAIT) or str(_WAIT_S)
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = -1.0
    if not 0.0 <= wait_s <= 86_400.0:
        raise InvalidInput(f"{WAIT} = {text!r}: give seconds, from 0 to 86400")
    return Tracking(option, labels, wait_s)


@contextmanager
def recorded(
    folder: Path, tracking: Tracking | None, tell: Callable[[str], None]
) -> Iterator[None]:
    """Keep what the code is, and have all that comes into a run's folder sent meanwhile.

    Args:
        folder: Of the run.
        tracking: Where to; None: nowhere.
        tell: Told in a sentence what could not be sent.

    Raises:
        InvalidInput: The run is in another store already.
    """
    store = None if tracking is None else _filed(folder, tracking)
    keep_source(folder)
    if store is None or tracking is None:
        yield
        return
    process = _begun(folder, store, tracking.wait_s, tell)
    try:
        yield
    finally:
        if process is not None:
            _finish(process, tracking.wait_s)
        left = UploadState(folder).unsent()
        if left:
            tell(
                f"{left} lines of the record are not in {store.name} yet: `risexp sync "
                f"{folder.name}` sends them ({folder.name}/{_LOG} says why)"
            )


def store_for(folder: Path, option: str | None) -> TrackingStore | None:
    """The store that a run is in, or is to be in.

    Args:
        folder: Of the run.
        option: What was asked for, if anything was.

    Returns:
        None where tracking is off.

    Raises:
        InvalidInput: The run is in another store than the one that was asked for.
    """
    known, labels = UploadState(folder).progress(), read_labels(folder)
    if known is not None and option != OFF:
        return store_again(folder.name, known.store, option)
    if labels is None or option is not None:
        return chosen_store(option)
    return None if labels.store == OFF else store_again(folder.name, labels.store, None)


def _filed(folder: Path, tracking: Tracking) -> TrackingStore | None:
    """The store of a run that begins or goes on; where that is new, its labels are written."""
    store = store_for(folder, tracking.option)
    labels = read_labels(folder)
    if labels is None or (tracking.option is not None and UploadState(folder).progress() is None):
        name = OFF if store is None else store.name
        write_labels(folder, replace(labels or tracking.labels, store=name))
    return store


_LOG: Final = "sender.log"


def _begun(
    folder: Path, store: TrackingStore, wait_s: float, tell: Callable[[str], None]
) -> "subprocess.Popen[bytes] | None":
    """The process that sends; None where the machine does not give us one."""
    environment = {
        **os.environ,
        **store.environment,
        VARIABLE: store.name if store.database is not None else store.uri,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [
        sys.executable,
        "-P",
        "-m",
        "risexp.tracking.uploader_process",
        str(folder),
        str(wait_s),
    ]
    try:
        log = os.open(folder / _LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and program
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the training; the record of it is still to be sent.
                start_new_session=True,
            )
        finally:
            os.close(log)
    except OSError as error:
        tell(f"the record is sent later: no process for it could begin ({error.strerror})")
        return None


def _finish(process: "subprocess.Popen[bytes]", wait_s: float) -> None:
    """Tell it that the training is over, and wait; what it does not manage is sent later."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
