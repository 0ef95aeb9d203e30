"""What trials of a study share: precedence, one hash, and a refusal in words."""

from collections.abc import Mapping
from typing import Any

import pytest

from risexp.config.layers import Layer
from risexp.errors import ConfigInvalid, DataInvalid
from risexp.space.study_spec import StudySpec, refusal
from tests.support.spaces import LEARNING, charter, learning, planted

ENVIRONMENT = {"RISEXP__TRAINING__EPOCHS": "9", "RISEXP__DATA__SEED": "9", "HOME": "/root"}


def test_later_layers_win_and_what_varies_has_the_last_word() -> None:
    space = learning(fixed={"training.epochs": 8, "data.seed": 8, "validation.scenes": 80})
    found = StudySpec.of(
        space, environment=ENVIRONMENT, overrides=["data.seed=10"], epochs=11, patience=5
    )

    trial = found.resolve({"loss.count": 0.25})

    assert (80, 10, 11) == (
        trial.config.validation.scenes,
        trial.config.data.seed,
        trial.config.training.epochs,
    )
    assert (16, 0.25, 5) == (
        trial.config.network.width,
        trial.config.loss.count,
        trial.config.training.patience,
    )
    assert {
        "network.width": "preset smoke",
        "validation.scenes": "space planted: fixed",
        "data.seed": "--set",
        "training.epochs": "--epochs",
        "training.patience": "--patience",
        "loss.count": "trial",
        "loss.cov": "default",
    }.items() <= trial.origins.items()


def test_the_environment_says_what_a_varied_field_is_in_trial_0_and_there_alone() -> None:
    found = StudySpec.of(learning(), environment={"RISEXP__LOSS__COUNT": "0.75"})

    assert found.base_values()["loss.count"] == 0.75
    assert found.resolve({"loss.count": 0.25}).config.loss.count == 0.25


def test_trial_0_is_the_base_itself() -> None:
    found = charter()

    values = found.base_values()

    assert found.base.sha() == found.resolve(values).config.sha()
    assert set(values) == LEARNING.keys() - {"count.smoothing"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"overrides": ["loss.count=1"]},
            (
                "--set sets loss.count, which space planted varies: leave it out, or search a "
                "space that fixes it"
            ),
        ),
        (
            {"overrides": ["training.epochs=5"], "epochs": 6},
            "--set and --epochs both set training.epochs: keep one",
        ),
        ({"overrides": ["loss.cuont=1"]}, "there is no field 'loss.cuont' (from --set); did you"),
        ({"epochs": 0}, "training.epochs = 0 (from --epochs)"),
        ({"environment": {"RISEXP__DATA__SEDE": "1"}}, "there is no field 'data.sede'"),
    ],
)
def test_what_cannot_be_set_is_refused(given: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        StudySpec.of(learning(), **given)

    assert str(caught.value).startswith(said)


def test_epochs_that_the_space_varies_are_not_set_beside_it() -> None:
    lengths = planted({"training.epochs": {"kind": "int", "low": 2, "high": 9}}, base="smoke")

    with pytest.raises(ConfigInvalid, match=r"--epochs sets training\.epochs, which space planted"):
        StudySpec.of(lengths, epochs=5)


def test_a_value_of_a_field_that_does_not_vary_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match=r"does not vary loss.cuont; did you mean loss.count\?"):
        charter().resolve({"loss.cuont": 1.0})


@pytest.mark.parametrize(
    "more",
    [
        {"name": "renamed", "about": "other words"},
        {"trials": 80},
        {"vary": dict(reversed([*LEARNING.items()]))},
        {"fixed": {"training.epochs": 3}},
        {"start": {"loss.count": 1.0}},
        {"sampler": {"kind": "tpe"}},
    ],
    ids=["name", "trials", "order", "fixed as it is", "start as it is", "default written out"],
)
def test_what_makes_the_same_trials_is_the_same_study(more: Mapping[str, object]) -> None:
    other = charter(learning(**more))

    assert charter().sha() == other.sha()
    assert refusal("s", charter(), other) is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"fixed": {"training.epochs": 4}}, "training.epochs = 3 (now 4)"),
        ({"base": "small"}, "physics.elements_h = 6 (now 12), physics.elements_v = 6 (now 12)"),
        ({"start": {"loss.count": 0.5}}, "loss.count = 1.0 (now 0.5)"),
        (
            {"vary": {**LEARNING, "loss.count": {"kind": "uniform", "low": 0.0, "high": 1.0}}},
            "vary loss.count = kind uniform, low 0.0, high 2.0 (now kind uniform, low 0.0, high 1.",
        ),
        ({"forbid": [{"network.depth": 7}]}, "forbid [('network.depth', 7)] = - (now yes)"),
        ({"sampler": {"kind": "random"}}, "sampler = kind tpe (now kind random)"),
        ({"pruner": {"kind": "none"}}, "pruner = kind median (now kind none)"),
    ],
)
def test_another_space_or_base_is_another_study(more: Mapping[str, object], said: str) -> None:
    other = charter(learning(**more))

    sentence = refusal("s", charter(), other)

    assert charter().sha() != other.sha()
    assert sentence is not None
    assert f"study s was begun with {said}" in sentence
    assert "\n" not in sentence


def test_what_is_set_over_a_space_is_part_of_the_study() -> None:
    longer = StudySpec.of(learning(), epochs=4)

    assert charter().sha() != longer.sha()
    assert longer.sha() == StudySpec.of(learning(), overrides=["training.epochs=4"]).sha()


def test_a_charter_is_read_as_it_was_written() -> None:
    written = StudySpec.of(
        learning(pruner={"kind": "patient", "pruner": {"kind": "asha"}}),
        environment=ENVIRONMENT,
        patience=5,
    )

    found = StudySpec.from_json(written.as_json(), "study s")

    assert written == found
    assert written.sha() == found.sha()
    assert found.over[-1] == Layer("--patience", {"training.patience": 5})


def test_a_charter_that_comes_to_another_base_is_refused() -> None:
    written = charter().as_json()
    written["base"] |= {"loss.cov": 0.7}

    with pytest.raises(DataInvalid) as caught:
        StudySpec.from_json(written, "study s")

    assert str(caught.value).startswith("study s was begun with loss.cov = 0.7 (now 0.1): go on")


@pytest.mark.parametrize(
    "change", [{"space": {"name": "none"}}, {"over": [{}]}, {"base": 3}, {"space": 3}]
)
def test_what_is_no_charter_is_refused(change: Mapping[str, object]) -> None:
    with pytest.raises(DataInvalid, match="study s"):
        StudySpec.from_json({**charter().as_json(), **change}, "study s")
