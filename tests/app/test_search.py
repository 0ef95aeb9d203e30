"""A search with a crew in this process: when it ends, how it goes on, and what it refuses."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.study import StudyDirection

from risexp.app import lookout
from risexp.app.search import Searched, Wanted, posts, search
from risexp.app.worker import owner_of
from risexp.diagnostics.report import Report
from risexp.errors import (
    ConfigInvalid,
    EnvironmentFailed,
    InvalidInput,
    RisexpError,
    VerificationFailed,
)
from risexp.hpo.address import embedded
from risexp.hpo.breaker import FAILING
from risexp.hpo.charters import charter_of
from risexp.hpo.crew import Death, Post
from risexp.hpo.ending import Ending
from risexp.hpo.leases import Leases
from risexp.hpo.store import Store, open_store
from risexp.hpo.studies import StudyRef, end_of, find_study
from risexp.hpo.suggest import suggest
from risexp.hpo.table import StudyTable
from risexp.tracking.folder import create_run
from risexp.training.curriculum import curriculum
from tests.searches import tiny
from tests.trials import opened, queue_of

WANTED = Wanted(tiny(), "toy", trials=3, device="cpu", tracking="off", unchecked=True)
SCORES = (5.0, 3.0, 4.0, 2.0, 6.0, 7.0, 8.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded database without a study."""
    path = tmp_path_factory.mktemp("store") / "optuna.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Path) -> Path:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_STORE", raising=False)
    monkeypatch.setattr(lookout, "_LOOK_S", 0.0)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(made, tmp_path / "mlruns" / "optuna.db")
    return tmp_path


class Hands:
    """A crew of one that does a trial, or whatever it is told to, between two looks."""

    def __init__(self, given: Sequence[Post], acts: Iterator[Callable[["Hands"], None]]) -> None:
        (self.post,) = given
        self.pids: tuple[int, ...] = (os.getpid(),)
        self.gave_up = False
        self.asked = 0
        self.trained: list[int] = []
        self.deaths: list[Death] = []
        self.reports: tuple[int, ...] = (1,)
        self._acts = acts

    @property
    def token(self) -> str:
        return self.post.command[self.post.command.index("--crew") + 1]

    def start(self) -> None:
        pass

    def look(self) -> list[Death]:
        seen, self.deaths = self.deaths, []
        return seen

    def progressed(self) -> None:
        pass

    def again(self) -> None:
        if self.pids:
            next(self._acts, train)(self)

    def ask(self) -> None:
        self.asked += 1
        self.pids = ()

    def end(self, _patience_s: float) -> None:
        pass


def train(hands: Hands) -> None:
    """Do the next trial, with a score by its number; leave where none is left."""
    with study() as (store, found):
        ended = end_of(store, found) is not None
        me = owner_of(hands.token, hands.pids[0])
        claim = None if ended else queue_of(store, found).claim(me)
        if claim is None:
            hands.pids = ()
            return
        charter = charter_of(found.name, found.facts)
        claim.suggest(lambda trial: suggest(charter, trial))
        score = SCORES[claim.number]
        for step in hands.reports:
            claim.report(step, score)
        claim.finish(Ending("complete", "finished", score))
        hands.trained.append(claim.number)


def die(hands: Hands) -> None:
    """Claim a trial, and end with it."""
    with study() as (store, found):
        queue_of(store, found).claim(owner_of(hands.token, hands.pids[0]))
        hands.deaths.append(Death(0, hands.pids[0], -9, hands.post.log))
        if end_of(store, found) is not None:
            hands.pids = ()


def hear(number: int) -> Callable[[Hands], None]:
    """Somebody presses Ctrl-C, or a scheduler says that time is over."""
    return lambda _: signal.raise_signal(number)


@contextmanager
def study() -> Iterator[tuple[Store, StudyRef]]:
    """The store of this home, and its study."""
    with opened(embedded()) as store:
        yield store, find_study(store, "toy")


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Hands]]:
    """Lets the next searches have such a crew; all of them, the first one first."""

    def employ(*acts: Callable[[Hands], None]) -> list[Hands]:
        employed: list[Hands] = []

        def crew(given: Sequence[Post]) -> Hands:
            employed.append(Hands(given, iter(acts if not employed else ())))
            return employed[-1]

        monkeypatch.setattr(lookout, "Crew", crew)
        return employed

    return employ


def searched(wanted: Wanted = WANTED) -> tuple[Searched, list[StudyTable], list[str]]:
    """How it ended, what was shown and what was said."""
    shown: list[StudyTable] = []
    said: list[str] = []
    found = search(wanted, lambda table, _: shown.append(table), said.append)
    return found, shown, said


def states(found: Searched) -> list[str]:
    return [each.state for each in found.table.trials]


Employ = Callable[..., list[Hands]]


def test_a_search_ends_with_its_trials(hands: Employ) -> None:
    crews = hands()

    found, shown, _ = searched()

    assert 0 == found.exit_code
    assert [0, 1, 2] == crews[0].trained
    assert ["complete"] * 3 == states(found)
    assert (3.0, 1) == (found.table.lowest, found.table.best and found.table.best.number)
    assert [0, 1, 2, 3] == list(dict.fromkeys(each.done for each in shown))
    assert found.as_json() == json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert 0 == found.unsent


def test_the_same_search_with_more_trials_does_those_that_are_missing(hands: Employ) -> None:
    crews = hands()
    searched()

    found, _, _ = searched(replace(WANTED, trials=5))

    assert [3, 4] == crews[1].trained
    assert [5.0, 3.0, 4.0, 2.0, 6.0] == [each.value for each in found.table.trials]
    assert [1] * 5 == [each.attempts for each in found.table.trials]


def test_fewer_trials_than_a_study_has_leave_it_as_it_is(hands: Employ) -> None:
    crews = hands()
    searched()

    found, _, _ = searched(replace(WANTED, trials=1))

    assert ([], 0) == (crews[1].trained, found.exit_code)
    assert 3 == found.table.wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 9}, "training.epochs = 3 (now 9)"),
        ({"overrides": ["training.batch=8"]}, "training.batch = 16 (now 8)"),
        ({"space": tiny(sampler={"kind": "random"})}, "sampler"),
    ],
)
def test_a_study_does_not_go_on_under_another_space(
    hands: Employ, change: dict[str, Any], said: str
) -> None:
    crews = hands()
    searched()

    with pytest.raises(InvalidInput, match="study toy was begun with ") as refused:
        searched(replace(WANTED, trials=5, **change))

    assert said in str(refused.value)
    assert 1 == len(crews)
    with study() as (_, found):
        assert 3 == found.trials


def test_a_search_ends_once_a_trial_is_good_enough(hands: Employ) -> None:
    hands()

    found, _, _ = searched(replace(WANTED, until=4.0))

    assert 0 == found.exit_code
    assert ["complete", "complete", "waiting"] == states(found)
    assert "k_loc 3.000 is below 4" == found.table.ended


def test_a_search_goes_on_after_a_bound_that_is_taken_back(hands: Employ) -> None:
    hands()
    searched(replace(WANTED, until=4.0))

    found, _, _ = searched()

    assert ["complete"] * 3 == states(found)
    assert found.table.ended is None


def test_a_search_ends_when_its_time_is_over(hands: Employ) -> None:
    crews = hands()

    found, _, _ = searched(replace(WANTED, timeout_s=0.0))

    assert 0 == found.exit_code
    assert ([], ["waiting"] * 3) == (crews[0].trained, states(found))
    assert "0 s are over" == found.table.ended


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_is_handed_on_and_the_trials_wait(
    hands: Employ, number: signal.Signals, code: int
) -> None:
    crews = hands(train, hear(number))
    before = signal.getsignal(number)

    found, _, said = searched()

    assert code == found.exit_code
    assert ["complete", "waiting", "waiting"] == states(found)
    assert ["workers end with their batches; once more stops them at once"] == said
    assert before == signal.getsignal(number)

    again, _, _ = searched()

    assert 0 == again.exit_code
    assert [[0], [1, 2]] == [each.trained for each in crews]


def test_a_second_signal_is_handed_on_too(hands: Employ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hands, "ask", lambda self: setattr(self, "asked", self.asked + 1))

    def leave(crew: Hands) -> None:
        crew.pids = ()

    ctrl_c = hear(signal.SIGINT)
    crews = hands(ctrl_c, ctrl_c, lambda _: None, leave)

    found, _, said = searched()

    assert 130 == found.exit_code
    assert "workers are stopped at once" == said[-1]
    assert 3 == crews[0].asked


def test_who_was_asked_and_does_not_end_is_waited_for_no_longer_than_patience(
    hands: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hands, "ask", lambda _: None)
    monkeypatch.setattr(lookout, "_PATIENCE_S", 0.0)
    hands(hear(signal.SIGINT), *[lambda _: None] * 1000, train)

    found, _, _ = searched()

    assert 130 == found.exit_code
    assert ["waiting"] * 3 == states(found)


def test_a_death_is_said_and_its_trial_goes_on_at_once(hands: Employ) -> None:
    crews = hands(die)

    found, _, said = searched()

    assert [0, 1, 2] == crews[0].trained
    assert [2, 1, 1] == [each.attempts for each in found.table.trials]
    assert [f"died of SIGKILL: see {crews[0].post.log}" in each for each in said] == [True]
    with study() as (store, ref):
        ends = [each.ended for each in Leases(store, ref.uid).attempts()]
    assert ["died", "finished", "finished", "finished"] == ends


def test_trials_that_all_kill_their_worker_end_the_study_until_it_is_gone_on_with(
    hands: Employ,
) -> None:
    crews = hands(*[die] * 20)

    found, _, _ = searched(replace(WANTED, trials=7))

    assert VerificationFailed.exit_code == found.exit_code
    assert FAILING == found.table.ended
    assert [*["failed"] * 5, "waiting", "waiting"] == states(found)

    again, _, _ = searched(replace(WANTED, trials=7))

    assert [5, 6] == crews[1].trained
    assert (0, None) == (again.exit_code, again.table.ended)


def test_a_crew_that_gave_up_is_no_end_of_a_search(hands: Employ, at_home: Path) -> None:
    def give_up(crew: Hands) -> None:
        crew.pids, crew.gave_up = (), True

    hands(give_up)

    with pytest.raises(EnvironmentFailed, match="died again and again") as failed:
        searched()

    assert str(at_home / "mlruns" / "studies" / "toy") in str(failed.value)


def test_a_pruner_that_was_never_asked_is_a_failure(hands: Employ) -> None:
    def told_twice(crew: Hands) -> None:
        crew.reports = (1, 2)
        train(crew)

    hands(told_twice)

    found, _, _ = searched()

    assert VerificationFailed.exit_code == found.exit_code
    assert "never asked" in str(found.pruner_fault)


def test_a_base_that_cannot_learn_begins_no_study(
    hands: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Report("preflight", "fail", (), ("Raise training.optimizer.lr.", "Wait."))
    monkeypatch.setattr("risexp.app.search.cleared", lambda _: report)
    crews = hands()

    with pytest.raises(VerificationFailed, match=r"Raise training\.optimizer\.lr\. --unchecked"):
        searched(replace(WANTED, unchecked=False))

    assert [] == crews
    with pytest.raises(InvalidInput, match="there is no study"), study():
        pass


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"study": "a b"}, InvalidInput, "'a b' is no name of a study"),
        ({"study": "../toy"}, InvalidInput, "is no name of a study"),
        ({"device": "tpu"}, ConfigInvalid, "no device"),
        ({"device": "cuda:7"}, EnvironmentFailed, "no device cuda:7"),
        ({"tracking": "nowhere"}, InvalidInput, "tracking"),
        ({"overrides": ["training.optimizer.lr=1"]}, ConfigInvalid, "varies"),
        ({"epochs": 2, "overrides": ["training.epochs=2"]}, ConfigInvalid, "keep one"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_made(
    hands: Employ,
    at_home: Path,
    change: dict[str, Any],
    kind: type[RisexpError],
    said: str,
) -> None:
    (at_home / "mlruns" / "optuna.db").unlink()
    crews = hands()

    with pytest.raises(kind) as refused:
        searched(replace(WANTED, **change))

    assert said in str(refused.value)
    assert ([], []) == (crews, list((at_home / "mlruns").iterdir()))


def test_runs_of_an_earlier_study_of_this_name_are_not_gone_on_with(hands: Employ) -> None:
    config = tiny().trial_zero().config
    create_run("toy-000", config, curriculum(config))
    crews = hands()

    with pytest.raises(InvalidInput, match="runs of an earlier study 'toy'"):
        searched()

    assert [] == crews


def test_a_study_of_somebody_else_is_refused(hands: Employ) -> None:
    with opened(embedded()) as store:
        store.storage.create_new_study([StudyDirection.MINIMIZE], "toy")
    crews = hands()

    with pytest.raises(InvalidInput, match="not made by risexp"):
        searched()

    assert [] == crews


def test_workers_are_told_what_they_work_on(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_STORE", "postgresql://someone:secret@host/db")
    wanted = replace(WANTED, workers=3, gpus=("4", "7"), device="auto", threads=2)

    told = posts(wanted, "token")

    assert ["4", "7", "4"] == [each.environment["CUDA_VISIBLE_DEVICES"] for each in told]
    for index, each in enumerate(told):
        assert at_home / "mlruns" / "studies" / "toy" / f"worker-{index}.log" == each.log
        assert "worker --study toy --crew token --threads 2 --device cuda" == " ".join(each.command)
        assert "2" == each.environment["OMP_NUM_THREADS"]
        assert "off" == each.environment["RISEXP_TRACKING_URI"]
        assert "postgresql://someone:secret@host/db" == each.environment["RISEXP_STORE"]
        assert str(at_home) == each.environment["RISEXP_HOME"]


def test_workers_without_gpus_see_the_machine_as_it_is() -> None:
    (told,) = posts(WANTED, "token")

    assert "cpu" == told.command[-1]
    assert "CUDA_VISIBLE_DEVICES" not in told.environment
