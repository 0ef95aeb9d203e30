"""MLflow logged a traceback for every write that its database refused; risexp says it once."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from risexp.hpo.store.address import embedded
from risexp.hpo.store.store import open_store
from risexp.tracking.stores import TrackingStore
from tests.support.commands import Capture, run
from tests.support.uploads import due, finished, held


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file becomes larger than this."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def test_a_record_that_does_not_fit_is_one_sentence_and_is_sent_later(
    capsys: Capture, tracking_store: TrackingStore
) -> None:
    folder = finished("one")

    with full_disk(40_000):
        code, _, err = run(capsys, "sync")

    assert (1, 1) == (code, err.count("\n")), err
    assert "risexp: run one was not sent: the store's database failed (disk I/O error)" in err
    assert 0 == run(capsys, "sync")[0]
    assert due(folder) == held(folder, tracking_store)


def test_a_store_that_does_not_fit_is_given_up_at_once(capsys: Capture, own_home: Path) -> None:
    with full_disk(40_000):
        code, out, err = run(capsys, "store init")

    assert (1, "", 1) == (code, out, err.count("\n")), err
    assert "mlruns/optuna.db cannot be made: disk I/O error" in err
    open_store(embedded()).close()
    assert (own_home / "mlruns" / "optuna.db").exists()
