"""Checks a search space with its sampler and pruner, and narrows the space of a finished study."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from risexp.config.layers import Layer
from risexp.errors import ConfigInvalid, InvalidInput, SpaceInvalid
from risexp.hpo.search.history import ended_trials
from risexp.hpo.search.pruning import Pruning
from risexp.hpo.store.address import address_of, embedded, store_url
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import find_study
from risexp.space.check import check_space
from risexp.space.cost import Cost, cost_of
from risexp.space.pruners import OtherPruner, Patient
from risexp.space.samplers import Gp, OtherSampler
from risexp.space.shrink import shrink
from risexp.space.spec import SearchSpace
from risexp.space.stages import stage_spaces
from risexp.space.study_spec import StudySpec


@dataclass(frozen=True)
class SpaceReview:
    """Problems, notes and cost of a space."""

    space: SearchSpace
    problems: tuple[str, ...]
    """Why no search may start."""
    notes: tuple[str, ...] = ()
    """Limits of a search that may start."""
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
    """Check that a search may start; of a staged space every stage is checked.

    Args:
        space: The space.
        over: Overrides of the search.
        trials: Number of trials, if the space's own does not count.
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
    from risexp.hpo.search.samplers import optuna_sampler

    optuna_sampler(space.sampler, 0, grouped=False)


def _make_pruner(space: SearchSpace) -> None:
    from risexp.hpo.search.pruners import build_pruner

    build_pruner(Pruning(space.pruner, warmup=0, settled=1, epochs=1))


def shrunk(study: str, name: str) -> SearchSpace:
    """Make a space around the best trials of a study.

    Args:
        study: Name of the study.
        name: Name of the new space.

    Raises:
        InvalidInput: There is no such study, or no database of studies.
        SpaceInvalid: It has too few trials, or the narrower space is not valid.
    """
    url = store_url()
    address = address_of(embedded() if url is None else url)
    if address.path is not None and not address.path.is_file():
        raise InvalidInput(f"there is no study {study!r}: nothing was searched in {address.name}")
    store = open_store(url)
    try:
        ref = find_study(store, study)
        space = spec_from_facts(ref.name, ref.facts).space
        trials = store.storage.get_all_trials(ref.id, deepcopy=False)
    finally:
        store.close()
    narrower = shrink(space, ended_trials(space, trials), name)
    for problem in check_space(narrower).problems:
        raise SpaceInvalid(f"the rest of space {space.name} is not valid: {problem}")
    return narrower
