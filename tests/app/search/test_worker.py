"""A trial as a run: its folder, its value, an interruption, a hang, and a device too small."""

import ctypes
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from optuna.trial import FrozenTrial

from risexp.app.search import worker
from risexp.callbacks.watchdog import HUNG, Silence, Watchdog
from risexp.config.layers import load_config
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.study import StudyRef, find_study
from risexp.hpo.trials.limits import set_limit
from risexp.hpo.workers.worker import Job, JobResult
from risexp.runs.folder import RunFolder, create_run, find_run, runs_home
from risexp.runs.spec import read_labels
from risexp.training.checkpoint_store import best, newest
from risexp.training.curriculum import curriculum
from risexp.training.events import EpochEnded, Event
from risexp.training.objective import Objective
from tests.support.device_memory import device_holds
from tests.support.looping import for_each
from tests.support.searches import begun, tiny, train
from tests.support.toy_workers import work
from tests.support.trainers import same
from tests.support.worker_processes import exit_codes, opened, start


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[StudyStore]:
    """One store for all tests here, in which each has its own studies."""
    path = shutil.copy(empty_database, tmp_path_factory.mktemp("store"))
    with opened(f"sqlite:///{path}") as store:
        yield store


pytestmark = pytest.mark.usefixtures("own_home")


def trial_of(store: StudyStore, study: StudyRef, number: int = 0) -> FrozenTrial:
    return store.storage.get_all_trials(study.id)[number]


def run_end(run: str) -> tuple[str, str]:
    """Status and reason of a run's end."""
    outcome = find_run(run).outcome()
    assert outcome is not None
    return outcome.status, outcome.reason


def trained(store: StudyStore, study: StudyRef) -> FrozenTrial:
    """Trial 0, after a worker has left."""
    work(store, study, lambda job: train(job, study))
    return trial_of(store, study)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_of_another_configuration_under_its_name_is_refused_and_kept(
    store: StudyStore,
) -> None:
    config = load_config(preset="smoke").config
    other = create_run("taken-000", config, curriculum(config))
    before = contents(other.path)
    study = begun(store, "taken")

    _, said = work(store, study, lambda job: train(job, study))

    trial = trial_of(store, study)
    assert ("FAIL", "InvalidInput") == (trial.state.name, trial.user_attrs["reason"])
    assert before == contents(other.path)
    assert any("there is a run 'taken-000' of another configuration" in each for each in said)


def test_a_folder_whose_maker_died_is_completed(store: StudyStore) -> None:
    half = runs_home() / "half-000"
    half.mkdir(parents=True)
    (half / "plans.json").write_text("[", encoding="utf-8")
    config = tiny().trial_zero().config
    create_run("unfiled-000", config, curriculum(config))

    for name in ("half", "unfiled"):
        trial = trained(store, begun(store, name))

        folder = find_run(f"{name}-000")
        labels = read_labels(folder.path)
        assert "COMPLETE" == trial.state.name
        assert 3 == len(folder.plans())
        assert labels is not None
        assert name == labels.study


def test_a_trial_is_a_run_that_ends_with_the_same_value_and_weights_though_interrupted(
    store: StudyStore,
) -> None:
    whole_study = begun(store, "alone")
    whole = trained(store, whole_study)

    def disturbed(job: Job) -> JobResult:
        def ending(event: Event) -> None:
            if isinstance(event, EpochEnded):
                signal.raise_signal(signal.SIGTERM)

        enders = (ending, *job.callbacks.enders)
        return train(replace(job, callbacks=replace(job.callbacks, enders=enders)), study)

    study = begun(store, "disturbed")
    codes = [work(store, begun(store, "disturbed"), disturbed)[0] for _ in range(2)]
    waiting = trial_of(store, study)
    trial = trained(store, begun(store, "disturbed"))

    assert [75, 75] == codes
    assert ("WAITING", 2) == (waiting.state.name, len(waiting.intermediate_values))
    assert (whole.value, whole.intermediate_values) == (trial.value, trial.intermediate_values)
    ended = [each.ended for each in Leases(store, study.uid).attempts()]
    assert ["released", "released", "finished"] == ended
    folder = find_run("alone-000")
    assert same(weights(folder), weights(find_run("disturbed-000")))
    kept = best(folder.attempts()).checkpoint
    assert kept.scores["k_loc"] == min(whole.intermediate_values.values()) == whole.value
    assert [1, 2, 3] == sorted(whole.intermediate_values)
    assert kept.temperature is not None
    labels = read_labels(folder.path)
    assert ("complete", "finished") == run_end("alone-000")
    assert labels is not None
    assert ("alone", whole_study.uid) == (labels.study, labels.parent and labels.parent.uid)


SMALL = (
    "journal.jsonl",
    "source.json",
    "labels.json",
    "environment.json",
    "plans.json",
    "config.json",
)


@pytest.mark.fault("F10")
@for_each("both", [False, True])
@for_each("name", SMALL)
def test_damaged_small_files_of_a_waiting_trial_cost_nothing(
    store: StudyStore, name: str, both: bool
) -> None:
    """Its checkpoint is sound, so it goes on to the same value."""
    study_name = f"damaged-{name.partition('.')[0]}-{'both' if both else 'one'}"
    study = begun(store, study_name)

    def released(job: Job) -> JobResult:
        def end_first(event: Event) -> None:
            if isinstance(event, EpochEnded):
                signal.raise_signal(signal.SIGTERM)

        enders = (end_first, *job.callbacks.enders)
        return train(replace(job, callbacks=replace(job.callbacks, enders=enders)), study)

    work(store, study, released)
    folder = find_run(f"{study_name}-000").path
    for path in (folder / name, folder / "spares" / name)[: 2 if both else 1]:
        path.write_bytes(b'{"dam\n' + path.read_bytes()[6:])

    trial = trained(store, begun(store, study_name))

    assert ("COMPLETE", [1, 2, 3]) == (trial.state.name, sorted(trial.intermediate_values))


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    last = newest(folder.attempts()).checkpoint
    assert last is not None
    return dict(last.state.weights)


def test_an_attempt_after_the_last_epoch_only_calibrates(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaves(BaseException):
        """A signal that comes between epochs."""

    def leave(*_: object) -> None:
        raise Leaves

    study = begun(store, "late")
    with monkeypatch.context() as patch:
        patch.setattr("risexp.app.run.train.calibrate", leave)
        with pytest.raises(Leaves):
            trained(store, study)
    assert "WAITING" == trial_of(store, study).state.name

    trial = trained(store, study)

    (attempt,) = find_run("late-000").attempts()
    kept = best([attempt]).checkpoint
    assert ("COMPLETE", kept.scores["k_loc"]) == (trial.state.name, trial.value)
    assert kept.temperature is not None


def test_a_trial_that_takes_too_long_is_pruned_after_an_epoch(store: StudyStore) -> None:
    study = begun(store, "limited")
    set_limit(store, study, 0.0)

    trial = trained(store, study)

    assert ("PRUNED", "limit") == (trial.state.name, trial.user_attrs["reason"])
    assert [1] == sorted(trial.intermediate_values)
    assert ("pruned", "limit") == run_end("limited-000")


@pytest.mark.fault("F18")
def test_a_batch_that_does_not_fit_is_cut_into_pieces(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = device_holds(monkeypatch, 4)

    trial = trained(store, begun(store, "small-device"))

    assert "COMPLETE" == trial.state.name
    assert [16, 8, 4] == list(dict.fromkeys(tried))
    assert 1 == find_run("small-device-000").config().training.accumulation
    assert ("complete", "finished") == run_end("small-device-000")


@pytest.mark.fault("F18")
def test_a_trial_too_large_for_its_device_is_pruned_under_a_constraint(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = {"training.batch": 12, "training.accumulation": 2, "training.scenes_per_epoch": 24}
    for cut, tried_sizes in (({"training.batch": 16}, [16, 8, 4, 2]), (halves, [6, 3])):
        name = f"too-large-{cut['training.batch']}"
        with monkeypatch.context() as patch:
            tried = device_holds(patch, 0)
            study = begun(store, name, space=tiny(fixed={**tiny().fixed, **cut}))
            _, said = work(store, study, lambda job, of=study: train(job, of))  # type: ignore[misc]

        trial = trial_of(store, study)
        assert tried_sizes == tried
        assert ("PRUNED", "out-of-memory") == (trial.state.name, trial.user_attrs["reason"])
        assert {"out-of-memory": 1.0} == dict(trial.constraints)
        assert {} == trial.intermediate_values
        assert ("aborted", "out-of-memory") == run_end(f"{name}-000")
        assert any("lower network.width or training.batch" in each for each in said)


class Short(Silence):
    """An hour, and 0.2 s once the first step has begun."""

    begun = False

    @property
    def limit_s(self) -> float:
        return 0.2 if self.begun else 3600.0

    def step(self, *_: object) -> None:
        self.begun = True
        ctypes.CDLL(None).sleep(600)


def hang(url: str, home: str) -> None:
    """A worker whose first step never returns from native code."""
    os.environ["RISEXP_HOME"] = home
    short = Short()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "Watchdog", partial(Watchdog, silence=short, check_s=0.05))
        patch.setattr(Objective, "__call__", short.step)
        store = open_store(url)
        study = find_study(store, "hanging")
        work(store, study, lambda job: train(job, study))


def test_a_training_that_hangs_leaves_its_stacks_and_its_trial_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    with opened(url) as store:
        study = begun(store, "hanging")

        assert [HUNG] == exit_codes(start(hang, url, str(tmp_path)))

        waiting = store.storage.get_all_trials(study.id)[0]
        work(store, study, lambda job: train(job, study))
        ends = [each.ended for each in Leases(store, study.uid).attempts()]

    assert "WAITING" == waiting.state.name
    assert ["hung", "finished"] == ends
    stacks = (find_run("hanging-000").path / "stacks-01.txt").read_text("utf-8")
    assert "in step" in stacks
    assert "in _train" in stacks
