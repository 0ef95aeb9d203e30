"""Makes Optuna's samplers and pruners by name, and checks names and options that users write."""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from risexp.config.section import nearest
from risexp.errors import SpaceInvalid
from risexp.space.pruners import PrunerSection
from risexp.space.samplers import SamplerSection

_ENDS: Final = "it ends a study by itself, and here the number of trials does"
SAMPLERS: Final[Mapping[str, str | None]] = {
    "CmaEsSampler": None,
    "GPSampler": None,
    "NSGAIISampler": None,
    "QMCSampler": None,
    "RandomSampler": None,
    "TPESampler": None,
    "BruteForceSampler": _ENDS,
    "GridSampler": _ENDS,
    "NSGAIIISampler": "it is for several objectives, and here is one",
    "PartialFixedSampler": "what is fixed stands under fixed",
}
"""Every sampler of Optuna, and why it cannot be named; None if it can."""

PRUNERS: Final[Mapping[str, str | None]] = {
    "HyperbandPruner": None,
    "MedianPruner": None,
    "NopPruner": None,
    "PercentilePruner": None,
    "SuccessiveHalvingPruner": None,
    "ThresholdPruner": None,
    "WilcoxonPruner": (
        "it tests scores of independent instances, and the epochs of a trial are one curve: write "
        "kind: median or asha"
    ),
    "PatientPruner": "it asks another one: write kind: patient",
}
"""Every pruner of Optuna, and why it cannot be named; None if it can."""

NEEDS: Final[Mapping[str, str]] = {
    "CmaEsSampler": "cmaes",
    "GPSampler": "scipy",
    "QMCSampler": "scipy",
}
"""Packages that some classes import when they are used, and that Optuna does not install."""

_SEED: Final = "seed"


def make_sampler(section: SamplerSection, seed: int, *, grouped: bool) -> BaseSampler:
    """Make the sampler of a section of the space.

    Trials with a violated constraint count as worse than all others. With `grouped`, some
    dimensions exist only under a condition.
    """
    name, options = section.resolve({"grouped": grouped})
    if section.optuna is None:
        if _SEED in options:
            raise SpaceInvalid(f"sampler {name}: seed is no option of it: write it beside name")
        _check_name(name, "sampler", SAMPLERS)
    kind = _installed(name, "sampler", optuna.samplers)
    seeded = {_SEED: seed} if _SEED in inspect.signature(kind).parameters else {}
    sampler: BaseSampler = _make(kind, "sampler", {**options, **seeded})
    return sampler


def make_pruner(section: PrunerSection, known: Mapping[str, object]) -> BasePruner:
    """Make the pruner of a section of the space; `known` is what the search knows."""
    name, options = section.resolve(known)
    if section.optuna is None:
        _check_name(name, "pruner", PRUNERS)
    pruner: BasePruner = _make(_installed(name, "pruner", optuna.pruners), "pruner", options)
    return pruner


@contextmanager
def experimental() -> Iterator[None]:
    """Silence Optuna's warnings about experimental classes: its version is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _check_name(name: str, what: str, reasons: Mapping[str, str | None]) -> None:
    usable = [known for known, reason in reasons.items() if reason is None]
    if name not in reasons:
        hint = nearest(name, usable) or f"; there are {', '.join(usable)}"
        raise SpaceInvalid(f"Optuna has no {what} {name!r} that can be used here{hint}")
    if reasons[name] is not None:
        raise SpaceInvalid(f"{what} {name} cannot be used: {reasons[name]}")


def _installed(name: str, what: str, module: ModuleType) -> type:
    """A class of Optuna whose packages are installed."""
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        raise SpaceInvalid(
            f"{what} {name} needs the package {NEEDS[name]}, which is not installed: install it, "
            f"or name another {what}"
        )
    kind: type = vars(module)[name]
    return kind


def _make(kind: type, what: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a class of Optuna
    known = [name for name in inspect.signature(kind).parameters if name != _SEED]
    for option in options:
        if option not in (*known, _SEED):
            hint = nearest(option, known) or f"; it has {', '.join(known) or 'none'}"
            raise SpaceInvalid(f"{what} {kind.__name__} has no option {option!r}{hint}")
    try:
        with experimental():
            return kind(**options)
    except (TypeError, ValueError) as error:
        message = " ".join(str(error).split()).rstrip(".")
        raise SpaceInvalid(f"{what} {kind.__name__} cannot be made: {message}") from None
