"""Optuna's samplers and pruners by name: those that can be used, and errors for the others."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from risexp.errors import SpaceInvalid
from risexp.hpo.search import optuna_registry
from risexp.hpo.search.optuna_registry import PRUNERS, SAMPLERS, named_pruner, named_sampler


def classes(of: type, module: object) -> set[str]:
    """The names of a module's concrete classes of one kind."""
    return {
        name
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, of) and not inspect.isabstract(each)
    }


def test_every_sampler_and_pruner_of_optuna_is_allowed_or_refused_with_a_reason() -> None:
    assert SAMPLERS.keys() == classes(BaseSampler, optuna.samplers)
    assert PRUNERS.keys() == classes(BasePruner, optuna.pruners)


def test_every_allowed_sampler_and_pruner_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_registry, "find_spec", lambda _: True)  # imported when they propose
    options = {"ThresholdPruner": {"upper": 9.0}, "PercentilePruner": {"percentile": 25.0}}
    samplers = [name for name, reason in SAMPLERS.items() if reason is None]
    pruners = [name for name, reason in PRUNERS.items() if reason is None]

    assert samplers == [type(named_sampler(name, {}, 3)).__name__ for name in samplers]
    assert pruners == [type(named_pruner(name, options.get(name, {}))).__name__ for name in pruners]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("TPESmapler", {}, "no sampler 'TPESmapler' that can be used here; did you mean"),
        ("os", {}, "Optuna has no sampler 'os' that can be used here; there are CmaEsSampler, GPS"),
        ("GridSampler", {}, "sampler GridSampler cannot be used: it ends a study by itself"),
        ("TPESampler", {"n_startup": 3}, "no option 'n_startup'; did you mean n_startup_trials?"),
        ("RandomSampler", {"startup": 3}, "has no option 'startup'; it has none"),
        ("RandomSampler", {"seed": 3}, "seed is no option of it: write it beside name"),
        ("NSGAIISampler", {"population_size": 1}, "sampler NSGAIISampler cannot be made: "),
        ("PatientPruner", {}, "cannot be used: it asks another one: write kind: patient"),
        ("MedainPruner", {}, "; did you mean MedianPruner?"),
        ("PercentilePruner", {}, "pruner PercentilePruner cannot be made: "),
    ],
)
def test_a_wrong_name_or_option_is_refused_in_one_sentence(
    name: str, options: Mapping[str, object], message: str
) -> None:
    is_pruner = name.endswith("Pruner")
    make: Callable[..., object] = named_pruner if is_pruner else partial(named_sampler, seed=0)

    with pytest.raises(SpaceInvalid) as caught:
        make(name, options)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_missing_is_named_before_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optuna_registry, "find_spec", lambda _: None)

    with pytest.raises(SpaceInvalid, match="GPSampler needs the package scipy, which is not inst"):
        named_sampler("GPSampler", {}, 0)
