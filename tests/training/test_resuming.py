"""A run that was interrupted goes on bit for bit, or not at all."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from risexp.errors import CheckpointRefused
from risexp.training.checkpoint import decode, encode
from risexp.training.events import BatchEnded, EpochEnded
from risexp.training.trainer import Trainer, draw_key
from tests.support.trainers import (
    EVENTFUL,
    Small,
    checkpoint_of,
    ended,
    epochs_of,
    same,
    same_state,
    small_config,
    small_trainer,
)


def test_what_is_left_out_at_random_depends_on_its_place_alone() -> None:
    quiet, noisy = small_trainer(), small_trainer()
    for _ in quiet.run():
        pass
    for event in noisy.run():
        torch.rand(len(repr(event)) % 7)

    assert same_state(quiet.state(), noisy.state())


def test_another_seed_leaves_out_something_else() -> None:
    one, other = small_trainer(), small_trainer(small_config(training__seed=1))
    epochs_of(one)
    epochs_of(other)

    assert not same(one.state().weights, other.state().weights)
    assert 4 == len({draw_key(*key) for key in [(0, 1, 1), (0, 1, 2), (0, 2, 1), (1, 1, 1)]})


@cache
def run_to_the_end() -> tuple[Trainer, list[EpochEnded], list[tuple[bytes, bytes]]]:
    """An eventful run, what it told, and its checkpoint after every epoch as bytes."""
    trainer = small_trainer(small_config(**EVENTFUL))
    told, kept = [], []
    for each in ended(trainer.run()):
        told.append(each)
        kept.append(encode(checkpoint_of(trainer, each)))
    return trainer, told, kept


@pytest.mark.parametrize("epoch", range(1, 5))
def test_a_run_interrupted_after_any_epoch_goes_on_bit_for_bit(epoch: int) -> None:
    config = small_config(**EVENTFUL)
    whole, told, kept = run_to_the_end()
    torch.manual_seed(99)
    strange = Small()

    resumed = small_trainer(config, network=strange, resumed=decode(*kept[epoch - 1]).state)
    rest = epochs_of(resumed)

    assert told[epoch:] == rest
    assert same_state(whole.state(), resumed.state())


@pytest.mark.parametrize("batch", range(4))
def test_a_run_given_up_in_any_batch_goes_on_from_its_last_epoch(batch: int) -> None:
    config = small_config(**EVENTFUL)
    whole, _, kept = run_to_the_end()
    broken = small_trainer(config, resumed=decode(*kept[1]).state)
    for event in broken.run():
        if event == BatchEnded(3, batch, 4):
            break

    with pytest.raises(RuntimeError, match="given up"):
        broken.state()
    with pytest.raises(RuntimeError, match="given up"):
        list(broken.run())
    broken.resume(decode(*kept[1]).state)
    epochs_of(broken)

    assert same_state(whole.state(), broken.state())


def test_a_run_given_up_in_the_count_phase_lets_its_backbone_go() -> None:
    trainer = small_trainer(small_config(**EVENTFUL))
    run = trainer.run()
    for event in run:
        if isinstance(event, BatchEnded) and event.epoch == 3:
            break
    assert not trainer.network.get_parameter("backbone.weight").requires_grad

    run.close()

    assert trainer.network.get_parameter("backbone.weight").requires_grad


def test_a_state_shares_no_memory_with_the_run() -> None:
    trainer = small_trainer()
    run = trainer.run()
    for event in run:
        if isinstance(event, EpochEnded):
            break
    state = trainer.state()
    before = {name: each.clone() for name, each in state.weights.items()}

    list(run)

    assert same(before, state.weights)
    assert not same(before, trainer.state().weights)


def test_another_seed_does_not_go_on() -> None:
    state = small_trainer().state()

    with pytest.raises(CheckpointRefused, match="seed is 0, and this run's is 1"):
        small_trainer(small_config(training__seed=1), resumed=state)


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "type"])
def test_a_state_of_another_network_is_refused_whole(change: str) -> None:
    trainer = small_trainer()
    state = trainer.state()
    bias = state.averaged["heads.bias"]
    others = {
        "missing": {k: v for k, v in state.averaged.items() if k != "heads.bias"},
        "unknown": {**state.averaged, "heads.scale": bias},
        "shape": {**state.averaged, "heads.bias": bias[:3]},
        "type": {**state.averaged, "heads.bias": bias.double()},
    }

    with pytest.raises(CheckpointRefused, match=r"the averaged weights 'heads\.") as caught:
        trainer.resume(replace(state, averaged=others[change]))

    assert "\n" not in str(caught.value)
