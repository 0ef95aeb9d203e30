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


def test_dropout_depends_on_seed_and_place_alone() -> None:
    quiet, noisy = small_trainer(), small_trainer()
    other = small_trainer(small_config(training__seed=1))
    epochs_of(quiet)
    epochs_of(other)
    for event in noisy.run():
        torch.rand(len(repr(event)) % 7)

    assert same_state(quiet.state(), noisy.state())
    assert not same(quiet.state().weights, other.state().weights)
    assert 4 == len({draw_key(*key) for key in [(0, 1, 1), (0, 1, 2), (0, 2, 1), (1, 1, 1)]})


@cache
def run_to_the_end() -> tuple[Trainer, list[EpochEnded], list[tuple[bytes, bytes]]]:
    """An eventful run, its epochs, and its checkpoint after every epoch as bytes."""
    trainer = small_trainer(small_config(**EVENTFUL))
    pairs = [(each, encode(checkpoint_of(trainer, each))) for each in ended(trainer.run())]
    return trainer, [epoch for epoch, _ in pairs], [content for _, content in pairs]


@pytest.mark.fault("F9")
def test_a_run_interrupted_after_any_epoch_goes_on_bit_for_bit() -> None:
    whole, epochs, kept = run_to_the_end()
    for done in range(1, 5):
        torch.manual_seed(99)
        resumed = small_trainer(
            small_config(**EVENTFUL), network=Small(), resumed=decode(*kept[done - 1]).state
        )

        assert epochs[done:] == epochs_of(resumed), done
        assert same_state(whole.state(), resumed.state()), done


@pytest.mark.fault("F9")
@pytest.mark.parametrize("batch", [0, 3])
def test_a_run_given_up_in_any_batch_goes_on_from_its_last_epoch(batch: int) -> None:
    whole, _, kept = run_to_the_end()
    broken = small_trainer(small_config(**EVENTFUL), resumed=decode(*kept[1]).state)
    run, frozen = broken.run(), broken.network.get_parameter("backbone.weight")
    while next(run) != BatchEnded(3, batch, 4):
        pass
    assert not frozen.requires_grad
    run.close()

    assert frozen.requires_grad
    with pytest.raises(RuntimeError, match="given up"):
        broken.state()
    with pytest.raises(RuntimeError, match="given up"):
        list(broken.run())
    broken.resume(decode(*kept[1]).state)
    epochs_of(broken)
    assert same_state(whole.state(), broken.state())


def test_a_state_shares_no_memory_with_the_run() -> None:
    trainer = small_trainer()
    run = trainer.run()
    next(ended(run))
    state = trainer.state()
    before = {name: each.clone() for name, each in state.weights.items()}

    list(run)

    assert same(before, state.weights)
    assert not same(before, trainer.state().weights)


def test_a_state_of_another_seed_or_network_is_refused_whole() -> None:
    trainer = small_trainer()
    state = trainer.state()
    bias = state.averaged["heads.bias"]
    others = (
        {name: each for name, each in state.averaged.items() if name != "heads.bias"},
        {**state.averaged, "heads.scale": bias},
        {**state.averaged, "heads.bias": bias[:3]},
        {**state.averaged, "heads.bias": bias.double()},
    )

    with pytest.raises(CheckpointRefused, match="seed is 0, and this run's is 1"):
        small_trainer(small_config(training__seed=1), resumed=state)
    for averaged in others:
        with pytest.raises(CheckpointRefused, match=r"^the averaged weights 'heads\.[^\n]*$"):
            trainer.resume(replace(state, averaged=averaged))
