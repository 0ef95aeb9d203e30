"""D5: a trial that two homes train has one run in their store, and each value once."""

from pathlib import Path
from typing import Any

import pytest

from risexp.runs.folder import RunFolder
from risexp.runs.spec import Labels, Parent
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore
from risexp.tracking.upload_state import UploadState
from tests.support.uploads import due, finished, held, new_run, run_ids, sent, train

LABELS = Labels(study="twin", trial=7, parent=Parent("twin", "f" * 32, 1_000))


@pytest.fixture
def halves(
    store: TrackingStore,
    runs: TrackingClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[RunFolder, RunFolder]:
    """A trial that one home left after its second epoch, and another home trained whole."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "one"))
    first = new_run("twin-007", labels=LABELS)
    train(first, range(1, 3))
    sent(first, store, runs)
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "another"))
    second = finished("twin-007", labels=LABELS)
    sent(second, store, runs)
    return first, second


@pytest.mark.fault("F8")
def test_a_trial_of_two_homes_has_one_run_and_each_value_once(
    halves: tuple[RunFolder, RunFolder], store: TrackingStore, runs: TrackingClient
) -> None:
    first, second = halves
    sent(second, store, runs)

    assert 1 == len(run_ids(first, store))
    places = [(key, step) for key, step, _, _ in held(first, store)]
    assert [(key, step) for key, step, _, _ in due(second)] == places


@pytest.mark.fault("F8")
def test_a_home_that_lost_what_it_had_sent_sends_all_of_its_own_again(
    store: TrackingStore, runs: TrackingClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    folder = finished("deep-001", labels=Labels(study="twin", trial=1, parent=LABELS.parent))
    sent(folder, store, runs)
    UploadState(folder.path).forget()

    sent(folder, store, runs)

    assert 1 == len(run_ids(folder, store))
    assert due(folder) == held(folder, store)


def test_a_home_sends_again_no_value_of_another_home(
    halves: tuple[RunFolder, RunFolder], store: TrackingStore, runs: TrackingClient
) -> None:
    first, second = halves
    UploadState(second.path).forget()

    sent(second, store, runs)

    places = [(key, step) for key, step, _, _ in held(first, store)]
    assert [(key, step) for key, step, _, _ in due(second)] == places


@pytest.mark.fault("F8")
def test_what_another_home_sends_while_one_takes_its_turn_is_not_doubled(
    store: TrackingStore, runs: TrackingClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, add = dict[str, RunFolder](), TrackingClient.add
    labels = Labels(study="twin", trial=5, parent=LABELS.parent)
    for home in ("one", "another"):
        monkeypatch.setenv("RISEXP_HOME", str(tmp_path / home))
        folders[home] = new_run("turn-005", labels=labels)
        train(folders[home], range(1, 2))
        sent(folders[home], store, runs)
        train(folders[home], range(2, 3))

    def late(own: TrackingClient, run_id: str, *rest: Any, **named: Any) -> None:  # noqa: ANN401
        if {*named.get("tags", ())} == {"risexp.home"} and "another" in folders:
            with monkeypatch.context() as patch:
                patch.setenv("RISEXP_HOME", str(tmp_path / "another"))
                sent(folders.pop("another"), store, runs)
        add(own, run_id, *rest, **named)

    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "one"))
    monkeypatch.setattr(TrackingClient, "add", late)
    sent(folders["one"], store, runs)

    assert ["one"] == [*folders]
    places = [(key, step) for key, step, _, _ in held(folders["one"], store)]
    assert [(key, step) for key, step, _, _ in due(folders["one"])] == places


@pytest.mark.fault("F8")
def test_an_epoch_that_a_home_sends_late_is_not_doubled(
    store: TrackingStore, runs: TrackingClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first home trained it before another one went on, and had not sent it."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "one"))
    labels = Labels(study="twin", trial=3, parent=LABELS.parent)
    first = new_run("late-003", labels=labels)
    train(first, range(1, 2))
    sent(first, store, runs)
    train(first, range(2, 3))
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "another"))
    second = finished("late-003", labels=labels)
    sent(second, store, runs)

    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "one"))
    sent(first, store, runs)
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "another"))
    sent(second, store, runs)

    places = [(key, step) for key, step, _, _ in held(first, store)]
    assert [(key, step) for key, step, _, _ in due(second)] == places
