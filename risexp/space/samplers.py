"""Samplers of a space: to add one, write its section here and add it to `Sampler`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from risexp.space.kinds import OptunaSection

_Startup = Field(default=10, ge=1)


class SamplerSection(OptunaSection):
    """Base of all samplers. The search knows `grouped`: whether a dimension has a condition."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the study; every start of every worker derives a random stream of its own."""


class Tpe(SamplerSection):
    """Tree-structured Parzen estimators: prefers what good trials have more often than others."""

    optuna = "TPESampler"
    sources: ClassVar[Mapping[str, str]] = {
        "n_startup_trials": "startup",
        "n_ei_candidates": "candidates",
        "group": "grouped",
    }
    # With the liar, running trials count as bad ones, so that workers keep apart.
    constants: ClassVar[Mapping[str, object]] = {"multivariate": True, "constant_liar": True}

    kind: Literal["tpe"] = "tpe"
    """What proposes."""
    startup: int = _Startup
    """Finished trials before anything is learned from them; until then proposals are random."""
    candidates: int = Field(default=24, ge=1, le=10_000)
    """Candidates that are compared for one proposal."""


class Gp(SamplerSection):
    """A Gaussian process: slower to propose, for few, long trials of continuous fields."""

    optuna = "GPSampler"
    sources: ClassVar[Mapping[str, str]] = {"n_startup_trials": "startup"}
    constants: ClassVar[Mapping[str, object]] = {"warn_independent_sampling": False}

    kind: Literal["gp"] = "gp"
    """What proposes."""
    startup: int = _Startup
    """Finished trials before anything is learned from them; until then proposals are random."""


class Random(SamplerSection):
    """Independent random proposals."""

    optuna = "RandomSampler"

    kind: Literal["random"] = "random"
    """What proposes."""


class OtherSampler(SamplerSection):
    """One of Optuna's own, by name."""

    kind: Literal["optuna"]
    """What proposes."""
    name: str
    """Name of the class in `optuna.samplers`."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the class, without the seed."""


Sampler = Annotated[Tpe | Gp | Random | OtherSampler, Field(discriminator="kind")]
