"""Checks a search space with its sampler and pruner."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from risexp.config.layers import Layer
from risexp.errors import ConfigInvalid, SpaceInvalid
from risexp.hpo.search.warmup import Pruning
from risexp.space.check import check_space
from risexp.space.cost import Cost, cost_of
from risexp.space.derived import stage_spaces
from risexp.space.pruners import OtherPruner, Patient
from risexp.space.samplers import Gp, OtherSampler
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec


@dataclass(frozen=True)
class SpaceReview:
    """Problems, notes and cost of a space."""

    space: SearchSpace
    problems: tuple[str, ...]
    """Why no search may start."""
    notes: tuple[str, ...] = ()
    forbidden_share: float = 0.0
    """Share of draws that a constraint forbids."""
    cost: Cost | None = None
    """Upper limit; None if there are problems."""

    @property
    def sound(self) -> bool:
        """True if a search may start."""
        return not self.problems

    def as_json(self, rate: float) -> dict[str, Any]:
        """Plain values for `--json`; `rate` is in scenes a second, for the cost."""
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
    """Check that a search may start, stage by stage; `over` and `trials` are the search's own."""
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
    """Why Optuna cannot make the sampler or pruner; imports Optuna only for classes by name."""
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
    from risexp.hpo.search.optuna_registry import make_sampler

    make_sampler(space.sampler, 0, grouped=False)


def _make_pruner(space: SearchSpace) -> None:
    from risexp.hpo.search.pruners import build_pruner

    build_pruner(Pruning(space.pruner, warmup=0, settled=1, epochs=1))
