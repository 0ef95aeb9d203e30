"""A run is uploaded beside its training, which neither waits for a server nor fails with it."""

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from risexp.app.run.sync import sync
from risexp.errors import InvalidInput
from risexp.runs.outcome import complete
from risexp.runs.spec import Labels, Parent
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore, in_environment, store_named
from risexp.tracking.study_run import study_rows
from risexp.tracking.upload_state import INTERRUPTED, UploadState
from risexp.tracking.uploader_process import Tracking, recorded, tracking_of, upload_while_training
from tests.support.uploads import (
    ask,
    due,
    finished,
    held,
    new_run,
    place,
    progress_of,
    served,
    train,
)

pytestmark = pytest.mark.usefixtures("own_home")


def free_port() -> int:
    """A port without a server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.fault("F7")
def test_a_server_that_is_down_for_a_whole_run_later_gets_each_value_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, said = free_port(), list[str]()
    away = f"http://127.0.0.1:{port}"
    labels = Labels(store=away, study="toy", trial=0, parent=Parent("toy", "one", 1))
    folder = finished("lonely", labels=labels)
    looks = iter([False, False, True])
    upload_while_training(
        UploadState(folder.path), store_named(away), lambda _: next(looks), said.append
    )
    behind = place(store_named(f"sqlite:///{tmp_path}/behind/mlflow.db"))

    with served(behind, tmp_path / "served", port):
        (synced,) = sync([], None)
        again = sync([], None)
        with in_environment(store_named(away)):
            server = TrackingClient(store_named(away))
            monkeypatch.setattr(server, "history", None)  # one request a metric is enough
            (trial,) = study_rows(server, "toy", "one").trials

    points = [(each.key, each.step, each.time, each.value) for each in trial.points]
    assert due(folder) == sorted(points)
    assert ["the store does not answer (connection refused)"] * 3 == said
    assert ("sent", away) == (synced.state, synced.store)
    assert len(due(folder)) == synced.values
    assert [] == again
    assert due(folder) == held(folder, behind)
    assert [("FINISHED",)] == ask(behind, "SELECT status FROM runs WHERE name = 'lonely'")
    assert list((tmp_path / "served").rglob("confusion/epoch-000003.json"))


@contextmanager
def hung() -> Iterator[tuple[int, Queue[bytes]]]:
    """A server that never answers: its port, and what it is asked."""
    asked, taken = Queue[bytes](), list[socket.socket]()

    def take(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            taken.append(connection)
            asked.put(connection.recv(65_536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=take, args=(listener,))
        thread.start()
        yield int(listener.getsockname()[1]), asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in taken:
        connection.close()


@pytest.mark.fault("F7")
def test_a_server_that_never_answers_delays_the_end_by_no_more_than_the_limit() -> None:
    told = list[str]()
    folder = new_run("patient")

    with hung() as (port, asked):
        address = f"http://me:planted-secret@127.0.0.1:{port}"
        with recorded(folder.path, Tracking(address, wait_s=0.0), told.append):
            train(folder)
            folder.close(complete("finished", 3))
            request = asked.get(timeout=60.0)

    # With more time, the uploader would have said that the server does not answer.
    assert "" == (folder.path / "sender.log").read_text("utf-8")
    assert 1 == len(told)
    assert 0 < UploadState(folder.path).unsent()
    assert b"Basic " + base64.b64encode(b"me:planted-secret") in request


@pytest.mark.fault("F7")
def test_the_uploader_retries_until_the_store_answers_and_then_sends_the_last_line(
    tmp_path: Path,
) -> None:
    store = store_named(f"sqlite:///{tmp_path}/later/mlflow.db")
    folder, said, looks = new_run("waiting"), list[str](), list[float]()
    train(folder)
    blocked = tmp_path / "later"
    blocked.write_text("", "utf-8")  # a file where the folder has to be

    def is_over(pause: float) -> bool:
        looks.append(pause)
        if len(looks) == 3:
            blocked.unlink()
            place(store)
        return len(looks) == 4

    upload_while_training(UploadState(folder.path), store, is_over, said.append)

    assert [0.0, 2.0, 4.0, 1.0] == looks
    assert 2 == len(said)
    assert due(folder) == held(folder, store)
    assert INTERRUPTED == progress_of(folder).ending  # its training was killed


def test_a_run_with_tracking_off_is_not_recorded(own_home: Path) -> None:
    folder = new_run("private")

    with recorded(folder.path, tracking_of("off", Labels()), lambda _: None):
        train(folder)
    synced = sync([], None)

    assert [] == synced
    assert not (own_home / "mlruns" / "mlflow.db").exists()
    assert not (folder.path / "sender.log").exists()


def test_a_run_stays_in_the_store_it_is_in(store: TrackingStore) -> None:
    folder = finished("settled")
    (synced,) = sync([folder.run_id], store.name)
    assert synced.state == "sent", synced.sentence

    with (
        pytest.raises(InvalidInput, match=r"run settled is recorded in sqlite:.* cannot move"),
        recorded(folder.path, Tracking("http://127.0.0.1:1"), lambda _: None),
    ):
        pass

    assert store.name == progress_of(folder).store


def test_an_invalid_store_or_waiting_time_is_refused_before_a_run_begins() -> None:
    for name, value, message in (
        ("RISEXP_TRACKING_URI", "ftp://me:planted-secret@host", "is no tracking store"),
        ("RISEXP_TRACKING_WAIT_S", "soon", "give seconds, from 0 to 86400"),
        ("RISEXP_TRACKING_WAIT_S", "-1", "give seconds, from 0 to 86400"),
        ("RISEXP_TRACKING_WAIT_S", "nan", "give seconds, from 0 to 86400"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(InvalidInput, match=message) as caught:
                tracking_of(None, Labels())

        assert "planted-secret" not in str(caught.value)
