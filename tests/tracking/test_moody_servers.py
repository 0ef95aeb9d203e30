"""A tracking server that is hung, failing or flapping costs a training no time, and no value."""

import socket
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from risexp.app.run.sync import sync
from risexp.app.search.study_record import StudyUploader, study_labels
from risexp.callbacks.recorder import Recorder
from risexp.hpo.studies.study import StudyRef, run_id
from risexp.runs.folder import RunFolder
from risexp.runs.outcome import complete
from risexp.runs.spec import Labels
from risexp.tracking.stores import TrackingStore, store_named
from risexp.tracking.upload_state import UploadState
from risexp.tracking.uploader_process import Tracking, recorded, upload_while_training
from risexp.training.events import EpochEnded, Event, RunStarted
from tests.support.moody_server import Mood, Moods
from tests.support.recorded_runs import followed, joint
from tests.support.uploads import ask, due, held, new_run, place, run_ids, served, train

EPOCHS = 300
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
Figure = Callable[[str, object], None]

pytestmark = [pytest.mark.usefixtures("own_home"), pytest.mark.fault("F7")]


@pytest.fixture
def behind(tmp_path: Path) -> TrackingStore:
    """The file behind a tracking server."""
    return place(store_named(f"sqlite:///{tmp_path}/behind/mlflow.db"))


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Threads of this process that want to reach something: one entry for each time."""
    names = list[str]()

    def noted(call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - as the system's own call
            names.append(threading.current_thread().name)
            return call(*given, **more)

        return noting

    monkeypatch.setattr(socket.socket, "connect", noted(socket.socket.connect))
    monkeypatch.setattr(socket, "getaddrinfo", noted(socket.getaddrinfo))
    return names


def recorded_ms(folder: RunFolder, begun: Callable[[], object] = lambda: None) -> list[float]:
    """Milliseconds that the record of each of many epochs takes; `begun` is called before them."""
    folder.begin({"threads": 1, "device": "cpu"})
    recorder, spent = Recorder(folder.open_journal(), dict), list[float]()

    def timed(event: Event) -> None:
        began = time.perf_counter()
        recorder(event)
        if isinstance(event, EpochEnded):
            spent.append(1e3 * (time.perf_counter() - began))
        if isinstance(event, RunStarted):
            begun()

    followed(joint(EPOCHS), timed)
    folder.close(complete("finished", EPOCHS))
    return spent


def tell(record_property: Figure, hung: list[float], alone: list[float]) -> None:
    """The delay of an epoch, for the table of faults."""
    for case, spent in (("while the tracker hangs", hung), ("without a tracker", alone)):
        cuts = statistics.quantiles(spent, n=100)
        p50, p99 = f"{cuts[49]:.1f}", f"{cuts[98]:.1f}"
        record_property("figure", f"recording an epoch {case}: p50 {p50} ms, p99 {p99} ms")


@pytest.mark.slow
def test_no_epoch_of_a_run_waits_for_a_server_that_hangs(
    behind: TrackingStore, tmp_path: Path, callers: list[str], record_property: Figure
) -> None:
    moods, folder, said = Moods("hung"), new_run("calm"), list[str]()
    alone = recorded_ms(new_run("alone", labels=Labels(store="off")))
    with served(behind, tmp_path / "served", moods=moods) as port:
        callers.clear()
        with recorded(folder.path, Tracking(f"http://127.0.0.1:{port}", wait_s=0.0), said.append):
            hung = recorded_ms(folder, lambda: moods.hangs.wait(120.0))
        reached, moods.mood = [*callers], "well"
        moods.over.set()
        (synced,) = sync([], None)

    # All epochs were over before the server answered anything.
    assert ({"hung"}, EPOCHS) == ({*moods.had} - {"well"}, len(hung))
    assert [] == reached
    assert 1 == len(said)
    assert "sent" == synced.state, synced.sentence
    assert due(folder) == held(folder, behind)
    assert 1 == len(run_ids(folder, behind))
    tell(record_property, hung, alone)


def test_no_epoch_of_a_trial_waits_for_a_server_that_hangs(
    behind: TrackingStore,
    tmp_path: Path,
    callers: list[str],
    record_property: Figure,
) -> None:
    """A worker without a supervisor uploads in a thread of its own process."""
    moods, study = Moods("hung"), StudyRef("toy", 1, "0123456789abcdef", 1, {})
    alone = recorded_ms(new_run("alone", labels=Labels(store="off")))
    with served(behind, tmp_path / "served", moods=moods) as port:
        store = store_named(f"http://127.0.0.1:{port}")
        folder = new_run(run_id("toy", 0), labels=study_labels(study, None, store))
        callers.clear()
        with StudyUploader(study, store) as record:
            hung = recorded_ms(folder, lambda: moods.hangs.wait(120.0))
            reached, moods.mood = {*callers}, "well"
            moods.over.set()

    assert ({"record"}, EPOCHS) == (reached, len(hung))
    assert (None, 0) == (record.failure, record.unsent())
    assert due(folder) == held(folder, behind)
    tell(record_property, hung, alone)


@pytest.mark.parametrize("mood", ["hung", "error", "cut", "deaf", "flapping"])
def test_what_is_recorded_meanwhile_is_in_the_store_once_when_a_server_is_well_again(
    behind: TrackingStore, tmp_path: Path, mood: Mood, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TIMEOUT, "1")
    moods, folder, said = Moods(mood), new_run("toy"), list[str]()
    passes = iter(range(1, 21 if mood == "flapping" else 4))

    def is_over(_: float) -> bool:
        """The server is well once three epochs, one between two passes, are over."""
        number = next(passes, None)
        if number is None:
            moods.mood = "well"
            folder.close(complete("finished", 3))
        elif number <= 3:
            train(folder, range(number, number + 1))
        return number is None

    with served(behind, tmp_path / "served", moods=moods) as port:
        server = store_named(f"http://127.0.0.1:{port}")
        upload_while_training(UploadState(folder.path), server, is_over, said.append)

    met = {"error", "cut", "deaf"} if mood == "flapping" else {mood}
    assert met <= {*moods.had}
    assert said
    assert due(folder) == held(folder, behind)
    assert 1 == len(run_ids(folder, behind))
    assert [("FINISHED",)] == ask(behind, "SELECT status FROM runs WHERE name = 'toy'")
    assert list((tmp_path / "served").rglob("confusion/epoch-000003.json"))
