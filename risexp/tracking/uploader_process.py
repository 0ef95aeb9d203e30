"""Uploads a run to its store beside the training, in a process that the training never waits for.

`recorded` starts the process `python -m risexp.tracking.uploader_process FOLDER LIMIT_S`. The
process checks the folder every second, and knows by the end of its standard input that the training
is over, even if the training was killed.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from risexp.core.locks import Busy
from risexp.errors import InvalidInput
from risexp.runs.source import keep_source
from risexp.runs.spec import Labels, read_labels, write_labels
from risexp.tracking.schema import opened
from risexp.tracking.stores import (
    OFF,
    VARIABLE,
    Failure,
    TrackingStore,
    attempt,
    chosen_store,
    store_again,
)
from risexp.tracking.upload_state import UploadState

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

WAIT: Final = "RISEXP_TRACKING_WAIT_S"
"""Environment variable: seconds that a run waits at its end for its upload."""
_WAIT_S: Final = 60.0
_LOG: Final = "sender.log"
_CHECK_S: Final = 1.0
"""Between two checks of the folder."""
_RETRY_MAX_S: Final = 60.0
"""Longest pause between two tries if the store does not answer."""
_LAST_RETRY_S: Final = 2.0
"""Pause before the last try."""
_NICE: Final = 10
"""Steps of priority below the training."""


@dataclass(frozen=True)
class Tracking:
    """Where a run is recorded besides its own folder, and under which labels."""

    option: str | None = None
    """`embedded`, `off`, or an address; None: from the environment or an earlier attempt."""
    labels: Labels = field(default_factory=Labels)
    wait_s: float = _WAIT_S
    """Longest time that a run waits at its end for its upload."""


def tracking_of(option: str | None, labels: Labels) -> Tracking:
    """Tracking from the command line and the environment."""
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
    """Record the source code of a run, and upload its folder while the body trains.

    `tell` receives a sentence if something was not uploaded.
    """
    store = None if tracking is None else _labelled_store(folder, tracking)
    keep_source(folder)
    if store is None or tracking is None:
        yield
        return
    process = _start(folder, store, tracking.wait_s, tell)
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
    """The store of a run; None if tracking is off."""
    progress, labels = UploadState(folder).progress(), read_labels(folder)
    if progress is not None and option != OFF:
        return store_again(folder.name, progress.store, option)
    if labels is None or option is not None:
        return chosen_store(option)
    return None if labels.store == OFF else store_again(folder.name, labels.store, None)


def _labelled_store(folder: Path, tracking: Tracking) -> TrackingStore | None:
    """The store of a run that starts or goes on; if it is new, the labels are written."""
    store = store_for(folder, tracking.option)
    labels = read_labels(folder)
    if labels is None or (tracking.option is not None and UploadState(folder).progress() is None):
        name = OFF if store is None else store.name
        write_labels(folder, replace(labels or tracking.labels, store=name))
    return store


def _start(
    folder: Path, store: TrackingStore, wait_s: float, tell: Callable[[str], None]
) -> "subprocess.Popen[bytes] | None":
    """Start the uploader; None if the machine has no process left."""
    environment = {
        **os.environ,
        **store.environment,
        VARIABLE: store.name if store.database is not None else store.uri,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    module = "risexp.tracking.uploader_process"
    try:
        log = os.open(folder / _LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [sys.executable, "-P", "-m", module, str(folder), str(wait_s)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the training; its record is still to be uploaded.
                start_new_session=True,
            )
        finally:
            os.close(log)
    except OSError as error:
        tell(f"the record is sent later: no process for it could begin ({error.strerror})")
        return None


def _finish(process: "subprocess.Popen[bytes]", wait_s: float) -> None:
    """Tell the uploader that the training is over, and wait; then kill it."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def upload_while_training(
    upload: UploadState,
    store: TrackingStore,
    is_over: Callable[[float], bool],
    log: Callable[[str], None],
) -> None:
    """Upload a run while it grows, and the rest once its training `is_over`.

    `is_over` may wait that many seconds to find out; `log` receives a sentence for each failure.
    """
    runs: TrackingClient | None = None
    pause, failures = 0.0, 0
    while True:
        over = is_over(pause)
        result = attempt(partial(_pass, upload, store, runs, live=not over))
        if isinstance(result, Failure):
            failures += 1
            pause = min(2.0**failures, _RETRY_MAX_S)
            log(result.sentence)
        else:
            runs, pause, failures = result, _CHECK_S, 0
        if over and failures != 1:
            return
        if over:
            time.sleep(_LAST_RETRY_S)


def _pass(
    upload: UploadState, store: TrackingStore, runs: "TrackingClient | None", *, live: bool
) -> "TrackingClient":
    """Upload once; the first call opens the store and imports MLflow, which takes seconds."""
    runs = runs or opened(store)
    from risexp.tracking.uploader import Uploader

    Uploader(upload, store.name, runs).drain(live=live)
    return runs


def main(folder: str, limit_s: str) -> None:
    """Upload a run until its training ends, and then no longer than the limit."""
    os.nice(_NICE)
    os.umask(0o077)

    def log(sentence: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sys.stderr.write(f"{moment} {sentence}\n")
        sys.stderr.flush()

    def is_over(wait_s: float) -> bool:
        if not select.select([sys.stdin], [], [], wait_s)[0]:
            return False
        signal.alarm(int(float(limit_s)) + 1)
        return True

    store, upload = chosen_store(None), UploadState(Path(folder))
    if store is None:
        return
    with suppress(Busy), upload.sending(2.0 * float(limit_s)):
        upload_while_training(upload, store, is_over, log)


if __name__ == "__main__":
    main(*sys.argv[1:])
