"""The spec of a study: precedence of its layers, one hash, and a refusal in words."""

from collections.abc import Mapping
from typing import Any

import pytest

from risexp.config.layers import Layer
from risexp.errors import ConfigInvalid, DataInvalid
from risexp.space.study_spec import StudySpec, refusal
from tests.support.spaces import LEARNING, learning, planted, spec_of

ENVIRONMENT = {"RISEXP__TRAINING__EPOCHS": "9", "RISEXP__DATA__SEED": "9", "HOME": "/root"}


def test_later_layers_win_and_a_trials_values_override_all() -> None:
    space = learning(fixed={"training.epochs": 8, "data.seed": 8, "validation.scenes": 80})
    spec = StudySpec.of(
        space, environment=ENVIRONMENT, overrides=["data.seed=10"], epochs=11, patience=5
    )

    trial = spec.resolve({"loss.count": 0.25})

    assert {
        "network.width": (16, "preset smoke"),
        "validation.scenes": (80, "space planted: fixed"),
        "data.seed": (10, "--set"),
        "training.epochs": (11, "--epochs"),
        "training.patience": (5, "--patience"),
        "loss.count": (0.25, "trial"),
        "loss.cov": (0.1, "default"),
    }.items() <= {
        path: (value, trial.origins[path]) for path, value in trial.config.flat().items()
    }.items()


def test_trial_0_is_the_base_itself() -> None:
    spec = spec_of()
    set_ = StudySpec.of(learning(), environment={"RISEXP__LOSS__COUNT": "0.75"})

    values = spec.base_values()

    assert spec.base.sha() == spec.resolve(values).config.sha()
    assert LEARNING.keys() - {"count.smoothing"} == set(values)
    assert 0.75 == set_.base_values()["loss.count"]
    assert 0.25 == set_.resolve({"loss.count": 0.25}).config.loss.count


def test_unknown_varied_and_repeated_fields_are_refused() -> None:
    lengths = planted({"training.epochs": {"kind": "int", "low": 2, "high": 9}}, base="smoke")
    varied = (
        "--set sets loss.count, which space planted varies: leave it out, or search a space that "
        "fixes it"
    )
    cases: list[tuple[Mapping[str, Any], str]] = [
        ({"overrides": ["loss.count=1"]}, varied),
        ({"space": lengths, "epochs": 5}, "--epochs sets training.epochs, which space planted"),
        (
            {"overrides": ["training.epochs=5"], "epochs": 6},
            "--set and --epochs both set training.epochs: keep one",
        ),
        ({"overrides": ["loss.cuont=1"]}, "there is no field 'loss.cuont' (from --set); did you"),
        ({"epochs": 0}, "training.epochs = 0 (from --epochs)"),
        ({"environment": {"RISEXP__DATA__SEDE": "1"}}, "there is no field 'data.sede'"),
    ]

    for options, message in cases:
        with pytest.raises(ConfigInvalid) as caught:
            StudySpec.of(**{"space": learning(), **options})
        assert str(caught.value).startswith(message)
    with pytest.raises(ConfigInvalid, match=r"does not vary loss.cuont; did you mean loss.count\?"):
        spec_of().resolve({"loss.cuont": 1.0})


def test_a_space_that_makes_the_same_trials_is_the_same_study() -> None:
    for more in (
        {"name": "renamed", "about": "other words"},
        {"trials": 80},
        {"vary": dict(reversed([*LEARNING.items()]))},
        {"fixed": {"training.epochs": 3}},
        {"start": {"loss.count": 1.0}},
        {"sampler": {"kind": "tpe"}},
    ):
        other = spec_of(learning(**more))
        assert spec_of().sha() == other.sha(), more
        assert refusal("s", spec_of(), other) is None


def test_another_space_or_base_is_another_study() -> None:
    narrower = {"kind": "uniform", "low": 0.0, "high": 1.0}
    cases: list[tuple[Mapping[str, Any], str]] = [
        ({"fixed": {"training.epochs": 4}}, "training.epochs = 3 (now 4)"),
        ({"base": "small"}, "physics.elements_h = 6 (now 12), physics.elements_v = 6 (now 12)"),
        ({"start": {"loss.count": 0.5}}, "loss.count = 1.0 (now 0.5)"),
        (
            {"vary": {**LEARNING, "loss.count": narrower}},
            "vary loss.count = kind uniform, low 0.0, high 2.0 (now kind uniform, low 0.0, high 1.",
        ),
        ({"forbid": [{"network.depth": 7}]}, "forbid [('network.depth', 7)] = - (now yes)"),
        ({"sampler": {"kind": "random"}}, "sampler = kind tpe (now kind random)"),
        ({"pruner": {"kind": "none"}}, "pruner = kind median (now kind none)"),
    ]

    for more, message in cases:
        other = spec_of(learning(**more))
        sentence = refusal("s", spec_of(), other)
        assert spec_of().sha() != other.sha()
        assert f"study s was begun with {message}" in str(sentence)
        assert "\n" not in str(sentence)


def test_a_spec_is_read_as_it_was_written_with_the_layers_over_its_space() -> None:
    written = StudySpec.of(
        learning(pruner={"kind": "patient", "pruner": {"kind": "asha"}}),
        environment=ENVIRONMENT,
        patience=5,
    )
    longer = StudySpec.of(learning(), epochs=4)

    read = StudySpec.from_json(written.as_json(), "study s")

    assert (written, written.sha()) == (read, read.sha())
    assert Layer("--patience", {"training.patience": 5}) == read.over[-1]
    assert spec_of().sha() != longer.sha()
    assert longer.sha() == StudySpec.of(learning(), overrides=["training.epochs=4"]).sha()


def test_a_spec_with_another_base_or_without_its_parts_is_refused() -> None:
    written = spec_of().as_json()
    changed = {**written, "base": {**written["base"], "loss.cov": 0.7}}

    with pytest.raises(
        DataInvalid, match=r"study s was begun with loss\.cov = 0\.7 \(now 0\.1\): go on"
    ):
        StudySpec.from_json(changed, "study s")
    wrong: list[Mapping[str, Any]] = [{"space": {"name": "none"}}, {"over": [{}]}, {"base": 3}]
    for part in wrong:
        with pytest.raises(DataInvalid, match="study s"):
            StudySpec.from_json({**written, **part}, "study s")
