"""The whole check of a space: its file, the plans of its runs, who proposes and who prunes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from risexp.config.layers import Layer
from risexp.errors import ConfigInvalid, SpaceInvalid
from risexp.hpo.search.warmup import Pruning
from risexp.space.check import check_space
from risexp.space.cost import Cost, cost_of
from risexp.space.pruners import OtherPruner, Patient
from risexp.space.samplers import Gp, OtherSampler
from risexp.space.spec import SearchSpace
from risexp.space.stages import stage_spaces
from risexp.space.study_spec import StudySpec


@dataclass(frozen=True)
class SpaceReview:
    """What is wrong with a space, what is worth knowing of it, and what it costs."""

    space: SearchSpace
    problems: tuple[str, ...]
    """Why no search may start."""
    notes: tuple[str, ...] = ()
    """What a search of it will not do, though it may start."""
    forbidden_share: float = 0.0
    """Of draws."""
    cost: Cost | None = None
    """At most; None where there are problems."""

    @property
    def sound(self) -> bool:
        """Whether a search may start."""
        return not self.problems

    def as_json(self, rate: float) -> dict[str, Any]:
        """The review as plain values.

        Args:
            rate: Scenes a second, for the cost.
        """
        return {
            "sound": self.sound,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "forbidden_share": self.forbidden_share,
            "cost": None if self.cost is None else self.cost.as_json(rate),
        }


def review(
    space: SearchSpace, over: tuple[Layer, ...] = (), trials: int | None = None
) -> SpaceReview:
    """Prove that a search of a space may start, and say what it will not do.

    Args:
        space: Of stages, each is looked at.
        over: What the search sets on top of it.
        trials: How many it makes, where that is not what the space says.
    """
    report = check_space(space, over=over)
    problems, notes = list(report.problems), list[str]()
    if report.sound:
        problems += _unusable(space)
        for stage, part in stage_spaces(space):
            try:
                pruning = Pruning.of(StudySpec(part, over))
            except ConfigInvalid as error:
                problems.append(f"{stage}a trial has no plan: {error}")
                continue
            problems += [f"{stage}{each}" for each in pruning.problems()]
            notes += [f"{stage}{each}" for each in pruning.notes(trials or part.trials)]
    cost = None if problems else cost_of(space, over)
    return SpaceReview(space, tuple(problems), tuple(notes), report.forbidden_share, cost)


def _unusable(space: SearchSpace) -> Iterator[str]:
    """Why Optuna cannot make the sampler or the pruner; it is loaded only where that may be."""
    pruner = space.pruner.pruner if isinstance(space.pruner, Patient) else space.pruner
    makers: list[Callable[[SearchSpace], None]] = []
    if isinstance(space.sampler, Gp | OtherSampler):
        makers.append(_make_sampler)
    if isinstance(pruner, OtherPruner):
        makers.append(_make_pruner)
    for make in makers:
        try:
            make(space)
        except SpaceInvalid as error:
            yield str(error)


def _make_sampler(space: SearchSpace) -> None:
    from risexp.hpo.search.samplers import optuna_sampler

    optuna_sampler(space.sampler, 0, grouped=False)


def _make_pruner(space: SearchSpace) -> None:
    from risexp.hpo.search.pruners import build_pruner

    build_pruner(Pruning(space.pruner, warmup=0, settled=1, epochs=1))
