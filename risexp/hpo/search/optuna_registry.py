"""Optuna's own samplers and pruners by name: which can be used here, and with which options."""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from risexp.config.words import nearest
from risexp.errors import SpaceInvalid

_ALONE: Final = "it ends a study by itself, and here the number of trials does"
SAMPLERS: Final[Mapping[str, str | None]] = {
    "CmaEsSampler": None,
    "GPSampler": None,
    "NSGAIISampler": None,
    "QMCSampler": None,
    "RandomSampler": None,
    "TPESampler": None,
    "BruteForceSampler": _ALONE,
    "GridSampler": _ALONE,
    "NSGAIIISampler": "it is for several objectives, and here is one",
    "PartialFixedSampler": "what is fixed stands under fixed",
}
"""Every sampler of Optuna, and why it cannot be used, where that is so."""

PRUNERS: Final[Mapping[str, str | None]] = {
    "HyperbandPruner": None,
    "MedianPruner": None,
    "NopPruner": None,
    "PercentilePruner": None,
    "SuccessiveHalvingPruner": None,
    "ThresholdPruner": None,
    "WilcoxonPruner": None,
    "PatientPruner": "it asks another one: write kind: patient",
}
"""Likewise every pruner."""

NEEDS: Final[Mapping[str, str]] = {
    "CmaEsSampler": "cmaes",
    "GPSampler": "scipy",
    "QMCSampler": "scipy",
    "WilcoxonPruner": "scipy",
}
"""Packages that some of them import once they are used, and that Optuna does not bring."""

_SEED: Final = "seed"


def named_sampler(name: str, options: Mapping[str, Any], seed: int) -> BaseSampler:
    """One of Optuna's samplers.

    Raises:
        SpaceInvalid: There is none of this name, or it cannot be made with these options.
    """
    if _SEED in options:
        raise SpaceInvalid(f"sampler {name}: seed is no option of it: write it beside name")
    kind = _class(name, "sampler", SAMPLERS, vars(optuna.samplers))
    seeded = {_SEED: seed} if _SEED in inspect.signature(kind).parameters else {}
    made: BaseSampler = _made(kind, "sampler", {**options, **seeded})
    return made


def named_pruner(name: str, options: Mapping[str, Any]) -> BasePruner:
    """One of Optuna's pruners.

    Raises:
        SpaceInvalid: There is none of this name, or it cannot be made with these options.
    """
    kind = _class(name, "pruner", PRUNERS, vars(optuna.pruners))
    made: BasePruner = _made(kind, "pruner", options)
    return made


@contextmanager
def experimental() -> Iterator[None]:
    """Optuna calls some of what is used here experimental; its version is pinned for that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _class(
    name: str, what: str, allowed: Mapping[str, str | None], found: Mapping[str, Any]
) -> type:
    usable = [each for each, reason in allowed.items() if reason is None]
    if name not in allowed:
        hint = nearest(name, usable) or f"; there are {', '.join(usable)}"
        raise SpaceInvalid(f"Optuna has no {what} {name!r} that can be used here{hint}")
    if allowed[name] is not None:
        raise SpaceInvalid(f"{what} {name} cannot be used: {allowed[name]}")
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        raise SpaceInvalid(
            f"{what} {name} needs the package {NEEDS[name]}, which is not installed: install it, "
            f"or name another {what}"
        )
    kind: type = found[name]
    return kind


def _made(kind: type, what: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of a class known by name
    known = [each for each in inspect.signature(kind).parameters if each != _SEED]
    for option in options:
        if option not in (*known, _SEED):
            hint = nearest(option, known) or f"; it has {', '.join(known) or 'none'}"
            raise SpaceInvalid(f"{what} {kind.__name__} has no option {option!r}{hint}")
    try:
        with experimental():
            return kind(**options)
    except (TypeError, ValueError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise SpaceInvalid(f"{what} {kind.__name__} cannot be made: {said}") from None
