"""A real trainer with all its callbacks: the journal, the checkpoints, and resumed runs."""

import os
import signal
from collections.abc import Mapping, Sequence

import pytest
from torch import nn

from risexp.callbacks.checkpoint import CheckpointCallback
from risexp.callbacks.early_stopping import EarlyStopping
from risexp.callbacks.guards import GuardCallback
from risexp.callbacks.learning_guards import standard_guards
from risexp.callbacks.recorder import Recorder
from risexp.callbacks.run_loop import Callback, callback_order, run_loop
from risexp.callbacks.signals import SignalCallback
from risexp.errors import EnvironmentFailed
from risexp.runs.folder import RunFolder, create_run, find_run
from risexp.runs.journal import Contents, read_journal
from risexp.runs.machine import environment
from risexp.runs.metrics import KEYS
from risexp.runs.outcome import Outcome
from risexp.training.checkpoint import State, config_tree
from risexp.training.checkpoint_store import newest
from risexp.training.curriculum import curriculum
from risexp.training.events import BatchEnded, EpochEnded, Event
from risexp.training.plan import Plan
from risexp.training.trainer import Validate
from tests.support.recorded_runs import DEAD, SCORES
from tests.support.trainers import CPU, same_state, scored, small_config, small_trainer

CONFIG = small_config(training__epochs=6)


pytestmark = pytest.mark.usefixtures("own_home")


def learning(network: nn.Module, plan: Plan) -> Mapping[str, float]:
    """What a validation of a network that learns finds."""
    return {**SCORES, **scored(network, plan)}


def dead(network: nn.Module, plan: Plan) -> Mapping[str, float]:
    """What a validation finds of one whose count is at chance, however well it locates."""
    return {**DEAD, "k_loc": scored(network, plan)["k_loc"]}


def worsening(_: nn.Module, plan: Plan) -> Mapping[str, float]:
    """What a validation finds of one that is worse with every epoch."""
    return {**SCORES, "k_loc": float(plan.epoch)}


def killed(epoch: int, batch: int) -> Callback:
    """A signal to this process with one batch."""

    def kill(event: Event) -> None:
        if isinstance(event, BatchEnded) and (event.epoch, event.batch) == (epoch, batch):
            os.kill(os.getpid(), signal.SIGTERM)

    return kill


def attempt(
    run: RunFolder,
    *enders: Callback,
    validate: Validate = learning,
    recorders: Sequence[Callback] = (),
) -> tuple[Outcome, State | None]:
    """One attempt at a run, from wherever it is; how it ends and where it then stands."""
    last = newest(run.attempts(), run.owner).checkpoint
    trainer = small_trainer(CONFIG, validate=validate, resumed=None if last is None else last.state)
    journal = run.open_journal()
    guards = GuardCallback(standard_guards(trainer, run.plans(), journal))
    store = run.begin(environment(CPU))
    with run.held(), SignalCallback(lambda _: None) as signals:
        observers = callback_order(
            guards,
            recorders=[Recorder(journal, guards.values), *recorders],
            checkpoint=CheckpointCallback(store, config_tree(CONFIG), trainer.state),
            enders=[*enders, signals],
        )
        outcome = run_loop(trainer, observers, run.run_id, run.close)
    kept = newest(run.attempts(), run.owner).checkpoint
    return outcome, None if kept is None else kept.state


def created(run_id: str = "run-1") -> RunFolder:
    return create_run(run_id, CONFIG, curriculum(CONFIG))


def record(run: RunFolder) -> Contents:
    return read_journal(run.journal)


def repeating(run: RunFolder) -> list[tuple[int, str, float]]:
    """Every point of a record that no clock decides, in its order."""
    return [
        (row.step, key, value)
        for row in record(run).rows
        for key, value in row.values.items()
        if KEYS[key].repeats
    ]


def test_a_killed_and_resumed_run_ends_in_the_same_state_as_a_whole_one() -> None:
    outcome, expected = attempt(created("undisturbed"))

    whole = find_run("undisturbed")
    assert expected is not None
    assert 6 == expected.progress.epoch
    assert [1, 2, 3, 4, 5, 6] == [row.step for row in record(whole).rows]
    assert ["started", "ended"] == [note.event for note in record(whole).notes]
    first = record(whole).rows[0].values
    guards = {"steps", "refused", "moved", "loss", "plan", "curriculum", "gradient", "chance"}
    assert {0.0} == {first[f"guard/{name}"] for name in guards}
    kept = newest(whole.attempts(), whole.owner).checkpoint
    assert kept is not None
    last = record(whole).rows[-1].values["val/k_loc"]
    assert (whole.plans()[-1], last) == (kept.plan, kept.scores["k_loc"])
    assert outcome == whole.outcome()
    assert "finished" == outcome.reason

    for name, kills in (("first", [(1, 0)]), ("often", [(3, 3), (3, 3), (6, 2)])):
        run = created(name)
        released = [attempt(run, killed(*kill))[0] for kill in kills]
        outcome, state = attempt(run)

        assert [75] * len(kills) == [each.exit_code for each in released]
        assert "finished" == outcome.reason
        assert state is not None
        assert same_state(expected, state)
        assert repeating(whole) == repeating(run)
        assert not [note for note in record(run).notes if note.event in ("nondeterminism", "gap")]


def test_an_epoch_without_a_checkpoint_is_computed_again_bit_for_bit() -> None:
    run = created()

    def full(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.plan.epoch == 3:
            raise EnvironmentFailed("the disk is full")

    with pytest.raises(EnvironmentFailed):
        attempt(run, recorders=[full])
    attempt(run)

    assert [1, 2, 3, 4, 5, 6] == [row.step for row in record(run).rows]
    assert not [note for note in record(run).notes if note.event == "nondeterminism"]


def test_an_epoch_with_a_fault_is_recorded_and_not_saved_though_the_run_was_resumed() -> None:
    run = created()
    attempt(run, killed(4, 1), validate=dead)

    outcome, state = attempt(run, validate=dead)

    assert ("aborted", "chance", 4) == (outcome.status, outcome.reason, outcome.exit_code)
    assert [1, 2, 3, 4, 5] == [row.step for row in record(run).rows]
    assert [1.0, 2.0, 3.0, 4.0, 5.0] == [row.values["guard/chance"] for row in record(run).rows]
    assert state is not None
    assert 4 == state.progress.epoch


def test_the_epoch_that_ends_a_run_early_is_recorded_and_saved() -> None:
    run = created()

    outcome, state = attempt(run, EarlyStopping(1, "joint"), validate=worsening)

    assert "early-stop" == outcome.reason
    assert state is not None
    assert [1, 2] == [row.step for row in record(run).rows]
    assert 2 == state.progress.epoch
