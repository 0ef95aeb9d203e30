"""What ends a trial early, as a space's file says it."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue

from risexp.config.section import Section


def _epochs_or_auto(value: object) -> object:
    counted = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if value != "auto" and not counted:
        message = "it is a number of epochs, 0 or more, or auto"
        raise ValueError(message)
    return value


Warmup = Annotated[int | Literal["auto"], BeforeValidator(_epochs_or_auto)]


class _Pruner(Section):
    """What all kinds share."""

    warmup: Warmup = "auto"
    """Epochs at the beginning in which no trial is ended; `auto`: until no ramp of beta, count or
    structure moves any more, and at least three."""


class _Comparing(_Pruner):
    """Compares a trial with those that came to their end."""

    startup: int = Field(default=5, ge=1)
    """Complete trials before any other is ended."""
    interval: int = Field(default=1, ge=1)
    """Epochs from one question to the next."""
    least: int = Field(default=1, ge=1)
    """Complete trials that must have a score of the same epoch."""


class Median(_Comparing):
    """Ends a trial whose best score is worse than the median of that epoch."""

    kind: Literal["median"] = "median"
    """What ends trials."""


class Percentile(_Comparing):
    """Ends a trial whose best score is not among the best of that epoch."""

    kind: Literal["percentile"]
    """What ends trials."""
    percentile: float = Field(default=25.0, gt=0.0, lt=100.0)
    """Share of trials, in percent, that go on."""


class Asha(_Pruner):
    """Asynchronous successive halving: at each rung the best of several go on."""

    kind: Literal["asha"]
    """What ends trials."""
    reduction: int = Field(default=4, ge=2)
    """One of so many goes on; each rung lies so many times further than the one before."""


class Hyperband(_Pruner):
    """Several successive halvings beside each other, from hasty to patient."""

    kind: Literal["hyperband"]
    """What ends trials."""
    reduction: int = Field(default=3, ge=2)
    """One of so many goes on; each rung lies so many times further than the one before."""


class OtherPruner(_Pruner):
    """One of Optuna's own, by name, asked once its warm-up is over."""

    kind: Literal["optuna"]
    """What ends trials."""
    name: str
    """Name of the class in `optuna.pruners`."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """What it is made with."""


class NoPruner(Section):
    """Ends no trial."""

    kind: Literal["none"]
    """What ends trials."""


Inner = Annotated[Median | Percentile | Asha | Hyperband | OtherPruner, Field(discriminator="kind")]


class Patient(Section):
    """Asks another pruner only about trials that have stopped improving."""

    kind: Literal["patient"]
    """What ends trials."""
    patience: int = Field(default=2, ge=0)
    """Epochs in a row without a better score before the other one is asked."""
    least_gain: float = Field(default=0.0, ge=0.0)
    """By how much a score must fall to be a better one."""
    pruner: Inner = Median()
    """The other one, with its own warm-up."""


Pruner = Annotated[
    Median | Percentile | Asha | Hyperband | OtherPruner | NoPruner | Patient,
    Field(discriminator="kind"),
]


def warmup_of(pruner: Pruner) -> Warmup | None:
    """The warm-up that a pruner's section asks for; None where nothing is ever ended."""
    match pruner:
        case NoPruner():
            return None
        case Patient():
            return pruner.pruner.warmup
        case _:
            return pruner.warmup
