"""What proposes the next trial of a search, as a space's file says it."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from risexp.config.section import Section

_Startup = Field(default=10, ge=1)


class _Sampler(Section):
    """What all kinds share."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Names the family of proposals; each start of each worker has a stream of its own."""


class Tpe(_Sampler):
    """Tree-structured Parzen estimators: what good trials have more often than the others."""

    kind: Literal["tpe"] = "tpe"
    """What proposes."""
    startup: int = _Startup
    """Finished trials before anything is learned from them; until then proposals are random."""
    candidates: int = Field(default=24, ge=1, le=10_000)
    """Proposals weighed against each other for one that is made."""


class Gp(_Sampler):
    """A Gaussian process: slower to propose, for few, long trials of continuous fields."""

    kind: Literal["gp"] = "gp"
    """What proposes."""
    startup: int = _Startup
    """Finished trials before anything is learned from them; until then proposals are random."""


class Random(_Sampler):
    """Each proposal drawn by itself."""

    kind: Literal["random"] = "random"
    """What proposes."""


class OtherSampler(_Sampler):
    """One of Optuna's own, by name."""

    kind: Literal["optuna"]
    """What proposes."""
    name: str
    """Name of the class in `optuna.samplers`."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """What it is made with, seed left out."""


Sampler = Annotated[Tpe | Gp | Random | OtherSampler, Field(discriminator="kind")]
