"""Guards end a run that cannot learn: how they are read and enforced, and those of any epoch.

The guards of what a network learns are in `learning_guards`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Protocol

from risexp.data.frames import Scenes
from risexp.data.streams import BLOCK, Split, block_generator
from risexp.errors import TrainingAborted
from risexp.training.epoch_checks import Limits, faults
from risexp.training.events import BatchEnded, EpochEnded, EpochStarted, Event, RunStarted
from risexp.training.plan import Plan
from risexp.training.trainer import KeyedBatches

STREAMS = 1 << 16
"""Blocks of a split whose streams are compared, in about a second: 16 million scenes."""
_SAMPLED = 8
"""Batches of a run whose scenes are compared."""
_ADVICE: Final[Mapping[str, str]] = {
    "steps": "every batch has to end in one step: fix the loop, or what refuses the steps",
    "refused": "lower training.optimizer.lr, or give the guilty term no weight",
    "moved": "look at training.optimizer and at the parts that the plan freezes",
    "weights": "go on from the last checkpoint under a lower training.optimizer.lr",
    "average": "look at training.ema_decay",
    "loss": "give a main term of the loss a weight, and nothing but its terms to the total",
    "covariance": "look at how prediction and label are normalised",
    "plan": "hand the loss the weights of the plan by value",
}
"""The next step for each kind of fault in `training.epoch_checks`."""

Marks = Callable[[], Iterable[bytes]]
"""Marks of the scenes of a set; two sets that share a mark share a scene or a stream."""


@dataclass(frozen=True)
class Reading:
    """The measurement of a guard."""

    guard: str
    value: float
    """In the unit that `metrics.GUARDS` names."""
    fault: str | None = None
    """If the run has to end: one sentence with what happened and the next step."""


class Guard(Protocol):
    """Measures something in events; it may keep state, and raises nothing."""

    def look(self, event: Event, /) -> Iterable[Reading]:
        """The readings of an event; none if the event does not concern the guard."""


class GuardCallback:
    """A callback that reads several guards, and one (`enforce`) that ends the run at a fault."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self.readings: tuple[Reading, ...] = ()
        """Of the last event that is not the end of a batch."""

    def __call__(self, event: Event) -> None:
        """Read all guards; this callback comes first, so that the journal has the readings."""
        if not isinstance(event, BatchEnded):
            self.readings = tuple(
                reading for guard in self._guards for reading in guard.look(event)
            )

    def values(self) -> dict[str, float]:
        """The measured values, by guard."""
        return {reading.guard: reading.value for reading in self.readings}

    def enforce(self, _event: Event) -> None:
        """Abort the training at the first fault; this callback comes after the recorders."""
        for reading in self.readings:
            if reading.fault is not None:
                raise TrainingAborted(reading.fault, guard=reading.guard)


@dataclass(frozen=True)
class EpochGuard:
    """Checks steps, movement, finite weights, and the loss of every epoch."""

    limits: Limits

    def look(self, event: Event) -> Iterator[Reading]:
        """The number of faults of each kind."""
        if not isinstance(event, EpochEnded):
            return
        found = faults(event.plan, event.steps, event.losses, self.limits)
        for guard in dict.fromkeys([*_ADVICE, *(fault.guard for fault in found)]):
            sentences = [fault.sentence for fault in found if fault.guard == guard]
            fault = _with_advice(guard, sentences[0], event) if sentences else None
            yield Reading(guard, len(sentences), fault)


def _with_advice(guard: str, sentence: str, ended: EpochEnded) -> str:
    refusal = [ended.refused[0].sentence()] if guard == "refused" and ended.refused else []
    advice = [_ADVICE[guard]] if guard in _ADVICE else []
    return "; ".join([sentence, *refusal, *advice])


@dataclass(frozen=True)
class PlanGuard:
    """Checks that each epoch uses the plan that was made, and recorded, before the run."""

    plans: Sequence[Plan]

    def look(self, event: Event) -> Iterator[Reading]:
        """Number of plan fields that changed, before and after the epoch."""
        if not isinstance(event, EpochStarted | EpochEnded):
            return
        due, used = (_flat(plan) for plan in (self.plans[event.plan.epoch - 1], event.plan))
        changed = [name for name in due if name not in used or used[name] != due[name]]
        changed += used.keys() - due.keys()
        fault = None
        if changed:
            name = changed[0]
            fault = (
                f"epoch {event.plan.epoch} is under {name} = {used.get(name)!r}, and the plan "
                f"made before the run says {due.get(name)!r}; change the configuration, never a "
                "plan"
            )
        yield Reading("curriculum", len(changed), fault)


def _flat(plan: Plan) -> dict[str, Any]:
    tree = plan.as_json()
    nested = {
        f"{name}.{key}": tree[name][key] for name in ("weights", "rates") for key in tree[name]
    }
    return {name: tree[name] for name in tree if name not in ("weights", "rates")} | nested


def scene_marks(scenes: Scenes) -> Iterator[bytes]:
    """A digest of the measurements of each scene, bit for bit."""
    for y in scenes.frames.y.cpu().contiguous():
        yield hashlib.sha256(y.numpy().tobytes()).digest()


def stream_marks(seed: int, split: Split, scenes: int) -> Iterator[bytes]:
    """The random streams of the first scenes of a split, as the seeds of their generators.

    They stand for all scenes of a run and cost no scene; they never equal a scene's digest.
    """
    for block in range(min(-(-scenes // BLOCK), STREAMS)):
        key = block_generator(seed, split, block).initial_seed()
        # On CPU a generator keeps no more of its seed than this.
        yield (key & 0xFFFF_FFFF).to_bytes(4, "little")


def batch_marks(batches: KeyedBatches, epochs: int) -> Iterator[bytes]:
    """Digests of the scenes of a few batches, from the first of a run to the last."""
    last = epochs * len(batches) - 1
    places = {round(part * last / (_SAMPLED - 1)) for part in range(_SAMPLED)}
    for place in sorted(places):
        epoch, batch = divmod(place, len(batches))
        yield from scene_marks(batches.scenes(epoch + 1, batch))


class LeakGuard:
    """Ends a run before its first step if training, validation or calibration share scenes."""

    def __init__(self, sets: Mapping[str, Marks]) -> None:
        """Compare all pairs of sets; the training set is the first one."""
        self._sets = sets

    def look(self, event: Event) -> Iterator[Reading]:
        """Number of shared marks, over all pairs of sets."""
        if not isinstance(event, RunStarted):
            return
        sets = {name: frozenset(marks()) for name, marks in self._sets.items()}
        shared = {pair: len(sets[pair[0]] & sets[pair[1]]) for pair in combinations(sets, 2)}
        fault = None
        for (first, second), count in shared.items():
            if count and fault is None:
                fault = (
                    f"{count} of {len(sets[second])} marks of the {second} occur in the {first} "
                    "too; its numbers would be those of memory: draw it from a split of its own"
                )
        yield Reading("leak", sum(shared.values()), fault)
