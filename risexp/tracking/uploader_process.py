"""Process that uploads a run: `python -m risexp.tracking.uploader_process FOLDER`.

It begins while the first epoch is trained, looks into the folder every second, and knows by the end
of its standard input that the training is over, in whatever way that came about.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from risexp.core.locks import Busy
from risexp.tracking.attempt import Failure, attempt
from risexp.tracking.schema import opened
from risexp.tracking.stores import TrackingStore, chosen_store
from risexp.tracking.upload_state import UploadState

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

_LOOK_S: Final = 1.0
"""Between two looks into the folder."""
_LONGEST_S: Final = 60.0
"""Between two tries of a store that does not answer."""
_LAST_S: Final = 2.0
"""Before the last try."""
_POLITE: Final = 10
"""Steps of priority below the training."""


def follow(
    spool: UploadState,
    store: TrackingStore,
    is_over: Callable[[float], bool],
    say: Callable[[str], None],
) -> None:
    """Send a run's record while it grows, and what is left once it does not.

    Args:
        spool: The run's folder.
        store: Where to.
        is_over: Whether the training is; it may wait so many seconds to find out.
        say: Told in a sentence what failed.
    """
    runs: TrackingClient | None = None
    pause, failures = 0.0, 0
    while True:
        over = is_over(pause)
        found = attempt(partial(drained, spool, store, runs, live=not over))
        if isinstance(found, Failure):
            failures += 1
            pause = min(2.0**failures, _LONGEST_S)
            say(found.sentence)
        else:
            runs, pause, failures = found, _LOOK_S, 0
        if over and failures != 1:
            return
        if over:
            time.sleep(_LAST_S)


def drained(
    spool: UploadState, store: TrackingStore, runs: "TrackingClient | None", *, live: bool
) -> "TrackingClient":
    """One pass; the runs of the store are opened where they are not yet, and MLflow imported."""
    runs = runs or opened(store)
    from risexp.tracking.uploader import Uploader

    Uploader(spool, store.name, runs).drain(live=live)
    return runs


def main(folder: str, limit_s: str) -> None:
    """Follow a run until its training ends, and then no longer than the limit."""
    os.nice(_POLITE)
    os.umask(0o077)

    def say(sentence: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sys.stderr.write(f"{moment} {sentence}\n")
        sys.stderr.flush()

    def is_over(wait_s: float) -> bool:
        if not select.select([sys.stdin], [], [], wait_s)[0]:
            return False
        signal.alarm(int(float(limit_s)) + 1)
        return True

    store, spool = chosen_store(None), UploadState(Path(folder))
    if store is None:
        return
    with suppress(Busy), spool.sending(2.0 * float(limit_s)):
        follow(spool, store, is_over, say)


if __name__ == "__main__":
    main(*sys.argv[1:])
