"""Optuna's samplers and pruners by name: those that can be used, and errors for the others."""

import inspect
from collections.abc import Mapping

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from risexp.errors import SpaceInvalid
from risexp.hpo.search import optuna_registry
from risexp.hpo.search.optuna_registry import PRUNERS, SAMPLERS, make_pruner, make_sampler
from risexp.space.pruners import OtherPruner
from risexp.space.samplers import OtherSampler


def classes(of: type, module: object) -> set[str]:
    """The names of a module's concrete classes of one kind."""
    return {
        name
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, of) and not inspect.isabstract(each)
    }


def make(name: str, options: Mapping[str, object]) -> object:
    """A sampler or pruner that a user names."""
    if name.endswith("Pruner"):
        return make_pruner(OtherPruner.model_validate(named(name, options)), {})
    return make_sampler(OtherSampler.model_validate(named(name, options)), 3, grouped=False)


def named(name: str, options: Mapping[str, object]) -> dict[str, object]:
    return {"kind": "optuna", "name": name, "options": options}


def test_every_sampler_and_pruner_of_optuna_is_allowed_or_refused_with_a_reason() -> None:
    assert SAMPLERS.keys() == classes(BaseSampler, optuna.samplers)
    assert PRUNERS.keys() == classes(BasePruner, optuna.pruners)


def test_every_allowed_sampler_and_pruner_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_registry, "find_spec", lambda _: True)  # imported when they propose
    options = {"ThresholdPruner": {"upper": 9.0}, "PercentilePruner": {"percentile": 25.0}}
    allowed = [name for name, reason in {**SAMPLERS, **PRUNERS}.items() if reason is None]

    assert allowed == [type(make(name, options.get(name, {}))).__name__ for name in allowed]


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
        ("WilcoxonPruner", {}, "cannot be used: it tests scores of independent instances, and the"),
        ("MedainPruner", {}, "; did you mean MedianPruner?"),
        ("PercentilePruner", {}, "pruner PercentilePruner cannot be made: "),
    ],
)
def test_a_wrong_name_or_option_is_refused_in_one_sentence(
    name: str, options: Mapping[str, object], message: str
) -> None:
    with pytest.raises(SpaceInvalid) as caught:
        make(name, options)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_missing_is_named_before_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optuna_registry, "find_spec", lambda _: None)

    with pytest.raises(SpaceInvalid, match="GPSampler needs the package scipy, which is not inst"):
        make("GPSampler", {})
