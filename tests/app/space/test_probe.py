"""A few steps for two values of every dimension: what changes nothing that is left is dead."""

from collections.abc import Callable
from itertools import count

import pytest

from risexp.app.space.probe import (
    BATCH,
    BATCHES,
    EPOCHS,
    SCENES,
    ProbeResult,
    Trace,
    lasting,
    probe_space,
    shortened,
)
from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.errors import VerificationFailed
from risexp.space.spec import SearchSpace
from tests.support.spaces import LEARNING, RIDGE, learning, planted


def left(config: RunConfig) -> Trace:
    """A training that looks at the rate, the depth and the loss, and at nothing else."""
    weights = f"{config.training.optimizer.lr} {config.network.depth}"
    scores = (("k_loc", config.training.ema_decay or 0.0), ("nan", float("nan")))
    return Trace((config.loss.count,), weights, scores, None)


def probed(
    space: SearchSpace, train: Callable[[RunConfig], Trace] = left
) -> dict[str, ProbeResult]:
    return {found.path: found for found in probe_space(space, train=train)}


def test_what_moves_weights_or_scores_is_alive_and_the_rest_is_dead() -> None:
    found = probed(learning())

    assert ("weights",) == found["training.optimizer.lr"].differs
    assert ("weights",) == found["network.depth"].differs
    assert ("scores",) == found["training.ema_decay"].differs
    # Its loss is another one, and nothing is learned from that.
    assert ("losses",) == found["loss.count"].differs
    assert {"loss.count", "count.kind", "count.smoothing"} == {
        path for path, each in found.items() if each.dead
    }
    assert found["loss.count"].as_json()["dead"] is True


def test_a_dimension_is_told_as_it_is_found() -> None:
    told: list[str] = []

    probe_space(learning(), train=left, tell=lambda found: told.append(found.path))

    assert list(LEARNING) == told


def test_runs_that_differ_by_themselves_prove_nothing() -> None:
    numbers = count()

    with pytest.raises(VerificationFailed, match="two runs of the same configuration differ in we"):
        probed(learning(), lambda _: Trace((), str(next(numbers)), (), None))


def test_no_run_is_made_twice_and_none_where_it_would_show_nothing() -> None:
    made: list[str] = []

    def counted(config: RunConfig) -> Trace:
        made.append(config.sha())
        return left(config)

    vary = {
        "training.epochs": {"kind": "int", "low": 2, "high": 9},
        "training.patience": {"kind": "choice", "options": [None, 3]},
        "network.width": {"kind": "choice", "options": [16, 32]},
    }
    found = probed(planted(vary, base="smoke"), counted)

    assert ("work",) == found["training.epochs"].differs
    assert ("unseen",) == found["training.patience"].differs
    # The base twice, to see that it repeats; the other width once.
    assert 3 == len(made)
    assert 2 == len(set(made))


def test_two_runs_that_differ_in_a_ramp_are_equally_long() -> None:
    made: list[RunConfig] = []

    def kept(config: RunConfig) -> Trace:
        made.append(config)
        return left(config)

    ramp = {"curriculum.count_ramp": {"kind": "int", "low": 0, "high": 9}}
    found = probed(planted(ramp, base="smoke", fixed={"training.epochs": 12}), kept)

    assert found["curriculum.count_ramp"].dead
    assert [9, 9] == [config.training.epochs for config in made[2:]]


def test_every_stage_is_probed() -> None:
    stages = {"one": {"network.depth": LEARNING["network.depth"]}, "two": {"sampled.ridge": RIDGE}}
    space = SearchSpace.model_validate(
        {"name": "staged", "trials": 2, "base": "smoke", "stages": stages}
    )

    found = probed(space)

    assert [False, True] == [found[path].dead for path in ("network.depth", "sampled.ridge")]


@pytest.mark.parametrize("preset", ["smoke", "small", "base", "three-phase", "snapshot-symbols"])
def test_a_short_run_is_a_run_of_a_few_steps(preset: str) -> None:
    config = load_config(preset=preset).config

    short = shortened(config, "", lasting(config))

    assert (EPOCHS, BATCH, SCENES) == (
        short.training.epochs,
        short.training.batch,
        short.validation.scenes,
    )
    assert BATCHES == short.training.scenes_per_epoch // short.training.batch
    assert not short.training.compile
    assert config.network == short.network
    assert config.training.optimizer == short.training.optimizer


def test_a_short_run_leaves_the_batch_alone_that_is_probed_and_ends_its_ramps() -> None:
    changes = {"training.batch": 256, "curriculum.count_ramp": 9, "training.accumulation": 3}
    ramped = load_config(preset="small").config.replace(
        {**changes, "training.batch": 384, "training.epochs": 12}
    )

    assert 9 == lasting(ramped)
    assert 384 == shortened(ramped, "training.batch", 9).training.batch
    assert 33 == shortened(ramped, "", 9).training.batch
    assert 9 == shortened(ramped, "", 9).training.epochs


def test_a_frozen_backbone_is_probed_without_the_weights_it_starts_from() -> None:
    frozen = {"curriculum.phase": "count", "curriculum.warm_start": "train-1"}

    short = shortened(load_config(preset="smoke").config.replace(frozen), "", EPOCHS)

    assert short.curriculum.warm_start is None
    assert short.curriculum.count_backbone_lr == 1.0
