"""What must be true of a run that learns what it was told to: steps, weights, gradients, blend."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from risexp.callbacks.guard import Reading
from risexp.config.training import Part
from risexp.training.epoch_checks import Limits, faults
from risexp.training.events import EpochEnded, EpochStarted, Event
from risexp.training.plan import Plan
from risexp.training.stepper import Stepper

_ADVICE: Final[Mapping[str, str]] = {
    "steps": "every batch has to end in one step: mend the loop, or what refuses the steps",
    "refused": "lower training.optimizer.lr, or give the guilty term no weight",
    "moved": "look at training.optimizer and at the parts that the plan freezes",
    "weights": "go on from the last checkpoint under a lower training.optimizer.lr",
    "average": "look at training.ema_decay",
    "loss": "give a main term of the loss a weight, and nothing but its terms to the total",
    "covariance": "look at how prediction and label are normalised",
    "plan": "hand the loss the weights of the plan by value",
}
"""What to do about each kind of fault that the accounts of training know."""


@dataclass(frozen=True)
class EpochGuard:
    """The accounts of an epoch: steps, movement, finite weights, and a loss as planned."""

    limits: Limits

    def look(self, event: Event) -> Iterator[Reading]:
        """How many faults of each kind an epoch has."""
        if not isinstance(event, EpochEnded):
            return
        found = faults(event.plan, event.steps, event.losses, self.limits)
        for guard in dict.fromkeys([*_ADVICE, *(fault.guard for fault in found)]):
            said = [fault.sentence for fault in found if fault.guard == guard]
            yield Reading(guard, len(said), _sentence(guard, said[0], event) if said else None)


@dataclass(frozen=True)
class PlanGuard:
    """The plans in force are those of the table that was made, and recorded, before the run."""

    plans: Sequence[Plan]

    def look(self, event: Event) -> Iterator[Reading]:
        """In how many fields an epoch's plan is another one; before and after the epoch."""
        if not isinstance(event, EpochStarted | EpochEnded):
            return
        due, found = (_flat(plan) for plan in (self.plans[event.plan.epoch - 1], event.plan))
        apart = [name for name in due if name not in found or found[name] != due[name]]
        apart += found.keys() - due.keys()
        fault = None
        if apart:
            name = apart[0]
            fault = (
                f"epoch {event.plan.epoch} is under {name} = {found.get(name)!r}, and the plan "
                f"made before the run says {due.get(name)!r}; change the configuration, never a "
                "plan"
            )
        yield Reading("curriculum", len(apart), fault)


def _sentence(guard: str, said: str, ended: EpochEnded) -> str:
    why = [ended.refused[0].sentence()] if guard == "refused" and ended.refused else []
    advice = [_ADVICE[guard]] if guard in _ADVICE else []
    return "; ".join([said, *why, *advice])


Untouched = Callable[[], Mapping[Part, Sequence[str]]]
"""Names of the parameters that never received a gradient, by part."""


_ENOUGH: Final = 10
"""Steps after which a parameter without a gradient has none to expect."""


class GradientGuard:
    """Every trainable parameter has received a gradient once the last phase was trained a while.

    A run is ended after ten steps of that phase, never before: a layer of zeros hides those behind
    it from the first steps, and the scenes of a step or two may ask no question of some others.
    """

    def __init__(self, untouched: Untouched, plans: Sequence[Plan]) -> None:
        """Ask after each epoch of the last phase, until all is well.

        Args:
            untouched: See `never_touched`.
            plans: Of the run; in the phases before the last one some terms may be without weight.
        """
        self._untouched = untouched
        self._phase = plans[-1].phase
        self._before = sum(plan.phase != self._phase for plan in plans)
        self._sound = False

    def look(self, event: Event) -> Iterator[Reading]:
        """How many never did, frozen parts left out."""
        if not isinstance(event, EpochEnded) or event.plan.phase != self._phase:
            return
        names = [] if self._sound else self._names(event.plan)
        self._sound = not names
        # No fewer than these, however many steps of earlier phases were refused.
        taken = event.steps.total - self._before * event.steps.batches
        fault = None
        if names and taken >= _ENOUGH:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            fault = (
                f"epoch {event.plan.epoch}: {', '.join(names[:3])}{more} never received a "
                "gradient; give a weight to a term that depends on them, or leave them out"
            )
        yield Reading("gradient", len(names), fault)

    def _names(self, plan: Plan) -> list[str]:
        parts = self._untouched()
        return [name for part in parts if part not in plan.frozen for name in parts[part]]


def never_touched(stepper: Stepper, idle: tuple[str, ...] = ()) -> Mapping[Part, Sequence[str]]:
    """Parameters whose gradient was zero in every step: their second moment is zero throughout.

    Args:
        stepper: Of the run.
        idle: How names begin that are left out.
    """
    names = {id(parameter): name for name, parameter in stepper.parameters.items()}
    optimizer = stepper.optimizer
    found: dict[Part, list[str]] = {part: [] for part in optimizer.group_parts}
    for part, group in zip(optimizer.group_parts, optimizer.param_groups, strict=True):
        for parameter in group["params"]:
            name = names[id(parameter)]
            touched = bool(optimizer.state[parameter]["exp_avg_sq"].any())
            if not touched and not name.startswith(idle):
                found[part].append(name)
    return found


@dataclass(frozen=True)
class BlendGuard:
    """Samples that are blended in change what is decomposed."""

    least: float = 1e-3
    """Smallest blend_effect over beta; samples that are used bring it near one."""

    def look(self, event: Event) -> Iterator[Reading]:
        """How far samples and prediction are apart, where beta is not zero."""
        if not isinstance(event, EpochEnded) or event.plan.beta == 0.0:
            return
        beta, epoch = event.plan.beta, event.plan.epoch
        if "blend_effect" not in event.scores:
            missing = f"epoch {epoch}: beta is {beta:g} and the validation gave no blend_effect"
            yield Reading("blend", 0.0, f"{missing}; let it measure what the samples change")
            return
        distance = event.scores["blend_effect"] / beta
        fault = None
        # Written so that NaN is a fault.
        if not distance > self.least:
            fault = (
                f"epoch {epoch}: beta is {beta:g}, and blending moves the covariance by "
                f"{distance:.2g} beta; the samples are not used: look at sampled, or set "
                "beta.final to zero"
            )
        yield Reading("blend", distance, fault)


def _flat(plan: Plan) -> dict[str, Any]:
    tree = plan.as_json()
    nested = {
        f"{name}.{key}": tree[name][key] for name in ("weights", "rates") for key in tree[name]
    }
    return {name: tree[name] for name in tree if name not in ("weights", "rates")} | nested
