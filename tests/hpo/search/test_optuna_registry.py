"""Optuna's own samplers and pruners by name: those that can be used, and a sentence for others."""

import inspect
from collections.abc import Mapping

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from risexp.errors import SpaceInvalid
from risexp.hpo.search import optuna_registry as named
from risexp.hpo.search.optuna_registry import PRUNERS, SAMPLERS, named_pruner, named_sampler


def classes(of: type, module: object) -> set[str]:
    """Every class of this kind that a module of Optuna offers, its abstract ones left out."""
    return {
        name
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, of) and not inspect.isabstract(each)
    }


def test_every_sampler_and_pruner_of_optuna_is_allowed_or_told_why_not() -> None:
    assert SAMPLERS.keys() == classes(BaseSampler, optuna.samplers)
    assert PRUNERS.keys() == classes(BasePruner, optuna.pruners)


@pytest.mark.parametrize("name", [name for name, reason in SAMPLERS.items() if reason is None])
def test_an_allowed_sampler_is_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "find_spec", lambda _: True)  # they import it once they propose

    assert type(named_sampler(name, {}, 3)).__name__ == name


@pytest.mark.parametrize("name", [name for name, reason in PRUNERS.items() if reason is None])
def test_an_allowed_pruner_is_made(name: str) -> None:
    needed = {"ThresholdPruner": {"upper": 9.0}, "PercentilePruner": {"percentile": 25.0}}

    assert type(named_pruner(name, needed.get(name, {}))).__name__ == name


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "TPESmapler",
            {},
            "Optuna has no sampler 'TPESmapler' that can be used here; did you mean",
        ),
        ("os", {}, "Optuna has no sampler 'os' that can be used here; there are CmaEsSampler, GPS"),
        ("__builtins__", {}, "Optuna has no sampler '__builtins__'"),
        ("GridSampler", {}, "sampler GridSampler cannot be used: it ends a study by itself"),
        ("TPESampler", {"startup": 3}, "sampler TPESampler has no option 'startup'"),
        ("TPESampler", {"n_startup": 3}, "; did you mean n_startup_trials?"),
        ("RandomSampler", {"startup": 3}, "has no option 'startup'; it has none"),
        ("RandomSampler", {"seed": 3}, "seed is no option of it: write it beside name"),
        ("NSGAIISampler", {"population_size": 1}, "sampler NSGAIISampler cannot be made: "),
    ],
)
def test_a_sampler_that_cannot_be_is_one_sentence(
    name: str, options: Mapping[str, object], said: str
) -> None:
    with pytest.raises(SpaceInvalid) as caught:
        named_sampler(name, options, 0)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("MedainPruner", {}, "; did you mean MedianPruner?"),
        ("PatientPruner", {}, "cannot be used: it asks another one: write kind: patient"),
        ("MedianPruner", {"n_startup_trials": -1}, "cannot be made: Number of startup trials"),
        ("PercentilePruner", {}, "pruner PercentilePruner cannot be made: "),
    ],
)
def test_a_pruner_that_cannot_be_is_one_sentence(
    name: str, options: Mapping[str, object], said: str
) -> None:
    with pytest.raises(SpaceInvalid) as caught:
        named_pruner(name, options)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_missing_is_named_before_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(named, "find_spec", lambda _: None)

    with pytest.raises(SpaceInvalid, match="GPSampler needs the package scipy, which is not inst"):
        named_sampler("GPSampler", {}, 0)
