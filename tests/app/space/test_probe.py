"""The probe finds dimensions without an effect on weights and scores."""

from collections.abc import Callable
from itertools import count

import pytest

from risexp.app.space import probe
from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.errors import VerificationFailed
from risexp.space.spec import SearchSpace
from risexp.training.curriculum import curriculum
from tests.support.spaces import LEARNING, RIDGE, learning, planted


def fake_trace(config: RunConfig) -> probe.Trace:
    """A fake training that depends on rate, depth, average and loss only."""
    weights = f"{config.training.optimizer.lr} {config.network.depth}"
    scores = (("k_loc", config.training.ema_decay or 0.0), ("nan", float("nan")))
    return probe.Trace((config.loss.count,), weights, scores, None)


def probed(
    space: SearchSpace, train: Callable[[RunConfig], probe.Trace] = fake_trace
) -> dict[str, probe.ProbeResult]:
    return {result.path: result for result in probe.probe_space(space, train=train)}


def test_only_dimensions_that_change_weights_or_scores_are_alive() -> None:
    paths: list[str] = []
    results = {
        result.path: result
        for result in probe.probe_space(
            learning(), train=fake_trace, tell=lambda one: paths.append(one.path)
        )
    }

    assert list(LEARNING) == paths
    # Another loss alone changes no weight.
    assert {
        "training.optimizer.lr": ("weights",),
        "network.depth": ("weights",),
        "training.ema_decay": ("scores",),
        "loss.count": ("losses",),
    }.items() <= {path: result.differs for path, result in results.items()}.items()
    assert {"loss.count", "count.kind", "count.smoothing"} == {
        path for path, result in results.items() if result.dead
    }
    assert results["loss.count"].as_json()["dead"] is True


def test_runs_that_differ_by_themselves_prove_nothing() -> None:
    numbers = count()

    with pytest.raises(VerificationFailed, match="two runs of the same configuration differ in we"):
        probed(learning(), lambda _: probe.Trace((), str(next(numbers)), (), None))


def test_no_run_is_made_twice_or_for_a_field_without_an_effect() -> None:
    made: list[str] = []

    def counted(config: RunConfig) -> probe.Trace:
        made.append(config.sha())
        return fake_trace(config)

    vary = {
        "training.epochs": {"kind": "int", "low": 2, "high": 9},
        "training.patience": {"kind": "choice", "options": [None, 3]},
        "network.width": {"kind": "choice", "options": [16, 32]},
    }
    results = probed(planted(vary, base="smoke"), counted)

    assert ("work",) == results["training.epochs"].differs
    assert ("unseen",) == results["training.patience"].differs
    # The base twice, to compare it with itself; the other width once.
    assert 3 == len(made)
    assert 2 == len(set(made))


def test_two_runs_that_differ_in_a_ramp_are_equally_long() -> None:
    made: list[RunConfig] = []

    def kept(config: RunConfig) -> probe.Trace:
        made.append(config)
        return fake_trace(config)

    ramp = {"curriculum.count_ramp": {"kind": "int", "low": 0, "high": 9}}
    results = probed(planted(ramp, base="smoke", fixed={"training.epochs": 12}), kept)

    assert results["curriculum.count_ramp"].dead
    assert [9, 9] == [config.training.epochs for config in made[2:]]


def test_every_stage_is_probed() -> None:
    stages = {"one": {"network.depth": LEARNING["network.depth"]}, "two": {"sampled.ridge": RIDGE}}
    space = SearchSpace.model_validate(
        {"name": "staged", "trials": 2, "base": "smoke", "stages": stages}
    )

    results = probed(space)

    assert [False, True] == [results[path].dead for path in ("network.depth", "sampled.ridge")]


def test_a_short_run_is_a_run_of_a_few_steps() -> None:
    for preset in ("smoke", "small", "base", "three-phase", "snapshot-symbols"):
        config = load_config(preset=preset).config

        short = probe.shortened(config, "", probe.lasting(config))

        training = short.training
        sizes = (training.epochs, training.batch, short.validation.scenes)
        assert (probe.EPOCHS, probe.BATCH, probe.SCENES) == sizes
        assert probe.BATCHES == training.scenes_per_epoch // training.batch
        assert not training.compile
        assert config.network == short.network
        assert config.training.optimizer == training.optimizer


def test_a_short_run_keeps_a_probed_batch_ends_its_ramps_and_starts_afresh() -> None:
    changes = {"training.batch": 384, "curriculum.count_ramp": 9, "training.accumulation": 3}
    ramped = load_config(preset="small").config.replace({**changes, "training.epochs": 12})
    frozen = {"curriculum.phase": "count", "curriculum.warm_start": "train-1"}
    short = probe.shortened(load_config(preset="smoke").config.replace(frozen), "", probe.EPOCHS)

    assert 9 == probe.lasting(ramped)
    late = probe.lasting(ramped.replace({"curriculum.phase": "three-phase"}))
    phased = probe.shortened(
        ramped.replace({"curriculum.phase": "three-phase", "training.epochs": 24}), "", late
    )
    assert (13, 13) == (late, next(plan.epoch for plan in curriculum(phased) if plan.judged))
    assert 384 == probe.shortened(ramped, "training.batch", 9).training.batch
    assert 33 == probe.shortened(ramped, "", 9).training.batch
    assert 9 == probe.shortened(ramped, "", 9).training.epochs
    assert short.curriculum.warm_start is None
    assert 1.0 == short.curriculum.count_backbone_lr
