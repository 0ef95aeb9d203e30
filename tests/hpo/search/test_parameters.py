"""Parameters of trials: drawn once and together, allowed, and read back as the same values."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.samplers import RandomSampler
from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.hpo.search.parameters import distribution, labels, read, stored, suggest
from risexp.hpo.search.samplers import build_sampler
from risexp.space.dimensions import Choice
from tests.support.spaces import LEARNING, learning, planted, spec_of
from tests.support.studies import claimed, claimed_again, study_of, worked


def test_options_are_labelled_readably_and_read_back() -> None:
    cases: list[tuple[list[JsonValue], list[JsonValue]]] = [
        (["dft", "random"], ["dft", "random"]),
        ([0, 0.5], [0, 0.5]),
        ([True, False], [True, False]),
        ([None, 4, "joint"], ["null", "4", "joint"]),
        ([True, 2], ["true", "2"]),
        ([[-5, 20], [0, 10]], ["[-5, 20]", "[0, 10]"]),
        ([None, "null"], ["null", '"null"']),
        ([4, "4"], ["4", '"4"']),
    ]
    for options, shown in cases:
        dimension = Choice(kind="choice", options=options)

        assert shown == labels(options)
        assert list(map(repr, options)) == [repr(read(dimension, label)) for label in shown]

    vary = learning().vary
    values: dict[str, JsonValue] = {
        "training.optimizer.lr": 1.5e-3,
        "network.depth": 3,
        "count.kind": "softmax",
        "training.ema_decay": None,
    }
    kept = stored(vary, values)
    assert "null" == kept["training.ema_decay"]
    assert values == {path: read(vary[path], value) for path, value in kept.items()}


def test_every_kind_of_dimension_has_its_distribution_in_every_process() -> None:
    distributions = {path: distribution(each) for path, each in learning().vary.items()}

    expected = {
        "training.optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "loss.count": FloatDistribution(0.0, 2.0),
        "network.depth": IntDistribution(1, 7, step=2),
        "training.ema_decay": CategoricalDistribution(["null", "0.9", "0.999"]),
    }
    assert expected == {path: distributions[path] for path in expected}
    for each in distributions.values():
        assert each == json_to_distribution(distribution_to_json(each))


@given(st.integers(0, 2**31))
def test_every_suggestion_is_a_valid_configuration_of_the_space(seed: int) -> None:
    study_spec = spec_of(learning(sampler={"kind": "random", "seed": seed}))

    for values in worked(study_spec, lambda _: 0.0, 3):
        config = study_spec.resolve(values).config
        assert all(study_spec.space.vary[path].holds(value) for path, value in values.items())
        assert ("count.smoothing" in values) == (config.count.kind == "softmax")
        assert LEARNING.keys() - {"count.smoothing"} <= values.keys()
        assert all(config.flat()[path] == value for path, value in values.items())


def test_values_of_an_earlier_attempt_stay_and_the_others_are_allowed_with_them() -> None:
    vary = {
        "count.kind": {"kind": "choice", "options": ["ordinal", "softmax"]},
        "network.width": {"kind": "choice", "options": [16, 32, 64, 128]},
    }
    forbid = [{"count.kind": "softmax", "network.width": [16, 64, 128]}]
    study_spec = spec_of(planted(vary, base="smoke", forbid=forbid))
    kinds = distribution(study_spec.space.vary["count.kind"])

    for start in range(4):
        study = study_of()
        dead = claimed(study, build_sampler(study_spec, f"dead-{start}"))
        dead.storage.set_trial_param(dead.number, "count.kind", 1.0, kinds)
        again = claimed_again(study, dead.number, build_sampler(study_spec, f"other-{start}"))
        assert {"count.kind": "softmax", "network.width": 32} == suggest(study_spec, again)


def test_enqueued_values_outside_the_space_or_forbidden_are_refused() -> None:
    depth = {"kind": "int", "low": 1, "high": 3}
    forbidding = planted({"network.depth": depth}, forbid=[{"network.depth": 3}], base="smoke")
    for study_spec, values, message in (
        (spec_of(), {"loss.count": 9.0}, r"trial 0 was given loss.count = 9.0, which space"),
        (spec_of(forbidding), {"network.depth": 3}, "was given a combination that space planted"),
    ):
        study = study_of()
        study.enqueue_trial(values)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns as well, and takes it
            with pytest.raises(SpaceInvalid, match=message):
                suggest(study_spec, claimed_again(study, 0, RandomSampler(seed=3)))
