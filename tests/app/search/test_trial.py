"""A trial as a run: its folder, its value, its way on after an end, and a device too small."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from optuna.trial import FrozenTrial
from torch.nn import Module

from risexp.config.layers import load_config
from risexp.data.frames import Scenes
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.trials.limits import set_limit
from risexp.hpo.workers.worker import Job, JobResult
from risexp.loss.weighting import Loss
from risexp.runs.folder import RunFolder, create_run, find_run, runs_home
from risexp.runs.spec import read_labels
from risexp.training.checkpoint_store import best, newest
from risexp.training.curriculum import curriculum
from risexp.training.events import EpochEnded, Event
from risexp.training.objective import Objective
from risexp.training.plan import Plan
from tests.support.searches import begun, tiny, train, work
from tests.support.trainers import same
from tests.support.worker_processes import opened


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyStore]:
    """One for all tests here: each has studies of its own names."""
    path = tmp_path_factory.mktemp("store") / "optuna.db"
    with opened(f"sqlite:///{path}") as found:
        yield found


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))


def trial_of(store: StudyStore, study: StudyRef, number: int = 0) -> FrozenTrial:
    return store.storage.get_all_trials(study.id)[number]


def trained(store: StudyStore, study: StudyRef) -> FrozenTrial:
    """Trial 0, after a worker has done all it could."""
    work(store, study, lambda job: train(job, study))
    return trial_of(store, study)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_trial_is_a_run_that_ends_with_the_value_of_its_best_epoch(store: StudyStore) -> None:
    study = begun(store, "whole")

    trial = trained(store, study)

    folder = find_run("whole-000")
    kept = best(folder.attempts()).checkpoint
    outcome, labels = folder.outcome(), read_labels(folder.path)
    assert kept.scores["k_loc"] == trial.value
    assert min(trial.intermediate_values.values()) == trial.value
    assert [1, 2, 3] == sorted(trial.intermediate_values)
    assert kept.temperature is not None
    assert outcome is not None
    assert "complete" == outcome.status
    assert labels is not None
    assert ("whole", study.uid) == (labels.study, labels.parent and labels.parent.uid)


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


def test_a_folder_without_a_configuration_is_taken_up(store: StudyStore) -> None:
    """Whoever made it died before it was a run."""
    path = runs_home() / "half-000"
    path.mkdir(parents=True)
    (path / "plans.json").write_text("[", encoding="utf-8")

    trial = trained(store, begun(store, "half"))

    assert "COMPLETE" == trial.state.name
    assert 3 == len(find_run("half-000").plans())


def test_a_folder_without_labels_is_taken_up_and_gets_them(store: StudyStore) -> None:
    """Whoever made it died before it was filed under its study."""
    study = begun(store, "unfiled")
    config = tiny().trial_zero().config
    create_run("unfiled-000", config, curriculum(config))

    trial = trained(store, study)

    labels = read_labels(find_run("unfiled-000").path)
    assert "COMPLETE" == trial.state.name
    assert labels is not None
    assert "unfiled" == labels.study


class Ending:
    """Ends what has to be ended, after an epoch; stands before the study's own word."""

    def __init__(self, job: Job, store: StudyStore, study: StudyRef, how: str) -> None:
        self._job, self._store, self._study, self._how = job, store, study, how

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            if self._how == "signal":
                signal.raise_signal(signal.SIGTERM)
            else:
                end_study(self._store, self._study, "12 s are over")
        self._job.study_end(event)


@pytest.mark.parametrize(
    ("how", "code"),
    [("signal", 75), pytest.param("end of the study", 0, marks=pytest.mark.slow)],
)
def test_a_trial_that_goes_on_ends_with_the_very_value_of_one_that_was_left_alone(
    store: StudyStore, how: str, code: int
) -> None:
    whole = trained(store, begun(store, f"alone-{code}"))
    name = f"disturbed-{code}"
    study = begun(store, name)

    def disturbed(job: Job) -> JobResult:
        ending: object = Ending(job, store, study, how)
        return train(replace(job, study_end=ending), study)  # type: ignore[arg-type]

    codes = [work(store, begun(store, name), disturbed)[0] for _ in range(2)]
    waiting = trial_of(store, study)
    trial = trained(store, begun(store, name))

    assert [code, code] == codes
    assert ("WAITING", 2) == (waiting.state.name, len(waiting.intermediate_values))
    assert (whole.value, whole.intermediate_values) == (trial.value, trial.intermediate_values)
    ended = [each.ended for each in Leases(store, study.uid).attempts()]
    assert ["released", "released", "finished"] == ended
    assert same(weights(find_run(f"alone-{code}-000")), weights(find_run(f"{name}-000")))


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    last = newest(folder.attempts()).checkpoint
    assert last is not None
    return dict(last.state.weights)


def test_an_attempt_that_comes_after_the_last_epoch_only_calibrates(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaves(BaseException):
        """A signal that comes while nothing is trained."""

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

    outcome = find_run("limited-000").outcome()
    assert ("PRUNED", "limit") == (trial.state.name, trial.user_attrs["reason"])
    assert [1] == sorted(trial.intermediate_values)
    assert outcome is not None
    assert ("pruned", "limit") == (outcome.status, outcome.reason)


def holds(monkeypatch: pytest.MonkeyPatch, scenes: int) -> list[int]:
    """Let the device hold a training step of so many scenes; the sizes that were tried."""
    tried: list[int] = []
    teach = Objective.__call__

    def limited(self: Objective, network: Module, given: Scenes, plan: Plan) -> Loss:
        tried.append(len(given))
        if len(given) > scenes:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return teach(self, network, given, plan)

    monkeypatch.setattr(Objective, "__call__", limited)
    return tried


def test_a_batch_that_does_not_fit_is_cut_into_pieces(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = holds(monkeypatch, 4)

    trial = trained(store, begun(store, "small-device"))

    folder = find_run("small-device-000")
    assert "COMPLETE" == trial.state.name
    assert [16, 8, 4] == list(dict.fromkeys(tried))
    assert 1 == folder.config().training.accumulation
    outcome = folder.outcome()
    assert outcome is not None
    assert "complete" == outcome.status


@pytest.mark.parametrize(
    ("cut", "tried_sizes"),
    [
        ({"training.batch": 16}, [16, 8, 4, 2]),
        (
            {"training.batch": 12, "training.accumulation": 2, "training.scenes_per_epoch": 24},
            [6, 3],
        ),
    ],
)
def test_a_trial_too_large_for_its_device_is_pruned_under_a_constraint(
    store: StudyStore,
    monkeypatch: pytest.MonkeyPatch,
    cut: dict[str, int],
    tried_sizes: list[int],
) -> None:
    name = f"too-large-{cut['training.batch']}"
    tried = holds(monkeypatch, 0)
    space = tiny(fixed={**tiny().fixed, **cut})
    study = begun(store, name, space=space)

    _, said = work(store, study, lambda job: train(job, study))

    trial, outcome = trial_of(store, study), find_run(f"{name}-000").outcome()
    assert tried_sizes == tried
    assert ("PRUNED", "out-of-memory") == (trial.state.name, trial.user_attrs["reason"])
    assert {"out-of-memory": 1.0} == dict(trial.constraints)
    assert {} == trial.intermediate_values
    assert outcome is not None
    assert ("aborted", "out-of-memory") == (outcome.status, outcome.reason)
    assert any("lower network.width or training.batch" in each for each in said)
