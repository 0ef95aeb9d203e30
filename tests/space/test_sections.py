"""Sampler, pruner, stages and start of a space."""

from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from risexp.config.section import one_sentence
from risexp.space.pruners import Median, NoPruner, Patient, warmup_of
from risexp.space.samplers import Tpe
from tests.support.spaces import RIDGE, learning

STAGES: Mapping[str, object] = {
    "ridge": {"sampled.ridge": RIDGE},
    "share": {"loss.cov": {"kind": "uniform", "low": 0.0, "high": 1.0}},
}


def refused(**more: object) -> str:
    with pytest.raises(ValidationError) as caught:
        learning(**more)
    return one_sentence(caught.value)


def test_parzen_estimators_propose_and_the_median_prunes_by_default() -> None:
    space = learning()
    patient = learning(pruner={"kind": "patient", "pruner": {"kind": "asha", "warmup": 7}})

    assert (Tpe(), Median(), "auto") == (space.sampler, space.pruner, warmup_of(space.pruner))
    assert isinstance(patient.pruner, Patient)
    assert 7 == warmup_of(patient.pruner)
    assert warmup_of(NoPruner(kind="none")) is None


def test_a_section_without_sense_is_refused_in_one_sentence() -> None:
    cases: list[tuple[Mapping[str, object], str]] = [
        ({"sampler": {"kind": "tpa"}}, "sampler"),
        ({"sampler": {"kind": "tpe", "startup": 0}}, "startup = 0"),
        ({"sampler": {"kind": "random", "startup": 3}}, "startup"),
        ({"sampler": {"kind": "optuna"}}, "name is missing"),
        ({"sampler": {"kind": "tpe", "seed": -1}}, "seed = -1"),
        ({"pruner": {"kind": "medain"}}, "'median'"),
        ({"pruner": {"kind": "median", "warmup": -1}}, "a number of epochs, 0 or more, or auto"),
        (
            {"pruner": {"kind": "median", "warmup": "late"}},
            "a number of epochs, 0 or more, or auto",
        ),
        ({"pruner": {"kind": "median", "warmup": True}}, "a number of epochs, 0 or more, or auto"),
        ({"pruner": {"kind": "percentile", "percentile": 100.0}}, "percentile = 100.0"),
        ({"pruner": {"kind": "none", "warmup": 3}}, "warmup"),
        ({"pruner": {"kind": "patient", "pruner": {"kind": "none"}}}, "'none'"),
        ({"pruner": {"kind": "asha", "reduction": 1}}, "reduction = 1"),
        ({"stages": STAGES}, "vary and stages are two ways to say what varies: keep one"),
        ({"vary": {}, "stages": {"empty": {}}}, "the stage empty varies nothing"),
        ({"vary": {}}, "nothing varies: give vary a field, or stages a stage"),
        ({"trials": 0}, "trials = 0"),
        ({"start": {"data.seed": 3}}, "start names data.seed, which does not vary"),
        ({"vary": {}, "stages": STAGES, "start": {"data.seed": 3}}, "start names data.seed"),
        ({"keep": {"k_acc": -0.1}}, "keep.k_acc = -0.1"),
    ]
    for more, part in cases:
        assert part in refused(**more), (more, part)


def test_the_first_trial_starts_where_it_is_told() -> None:
    zero = learning(start={"loss.count": 0.7}, fixed={"training.epochs": 5}).trial_zero()

    assert 0.7 == zero.config.loss.count
    assert "space planted: start" == zero.origins["loss.count"]
    assert "space planted: fixed" == zero.origins["training.epochs"]
