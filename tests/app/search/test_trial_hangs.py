"""A training in which nothing happens any more: its stacks, its end, and its trial's way on."""

import ctypes
import os
from functools import partial
from pathlib import Path

import pytest

from risexp.app.search import trial
from risexp.callbacks.watchdog import HUNG, Silence, Watchdog
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.study import find_study
from risexp.runs.folder import find_run
from risexp.training.objective import Objective
from tests.support.searches import begun, train, work
from tests.support.worker_processes import exit_codes, opened, start


class Short(Silence):
    """May be an hour, and next to nothing once the first step has begun."""

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
        patch.setattr(trial, "Watchdog", partial(Watchdog, silence=short, check_s=0.05))
        patch.setattr(Objective, "__call__", short.step)
        store = open_store(url)
        study = find_study(store, "hanging")
        work(store, study, lambda job: train(job, study))


def test_it_leaves_its_stacks_and_its_trial_goes_on_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
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
    assert "in _teach" in stacks
