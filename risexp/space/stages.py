"""Searches one after another: what each is a space of, and whether what it found is kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.space.spec import Keep, SearchSpace

Values = Mapping[str, JsonValue]
"""Of varied fields by their paths."""


def stage_space(space: SearchSpace, stage: str, kept: Values) -> SearchSpace:
    """What one stage searches: a space of its own, whose trial 0 has what was kept before it.

    Args:
        space: One with stages.
        stage: The name of one of them.
        kept: Values that earlier stages settled on.

    Raises:
        SpaceInvalid: There is no such stage.
    """
    if stage not in space.stages:
        known = ", ".join(space.stages) or "none"
        raise SpaceInvalid(f"space {space.name} has no stage {stage!r}; there are: {known}")
    vary = space.stages[stage]
    return SearchSpace(
        name=f"{space.name}-{stage}",
        about=f"stage {stage} of {space.name}",
        base=space.base,
        trials=space.trials,
        fixed={**space.fixed, **{path: each for path, each in kept.items() if path not in vary}},
        start={path: each for path, each in {**space.start, **kept}.items() if path in vary},
        vary=vary,
        forbid=space.forbid,
        sampler=space.sampler,
        pruner=space.pruner,
    )


def stage_spaces(space: SearchSpace) -> Iterator[tuple[str, SearchSpace]]:
    """Every stage that could come: with nothing kept before it, and with all that could be.

    Of a range its upper end is kept, of a choice the last option. A space without stages is its
    own only one.
    """
    if not space.stages:
        yield "", space
    kept: dict[str, JsonValue] = {}
    for stage, vary in space.stages.items():
        yield f"stage {stage}: ", stage_space(space, stage, {})
        if kept:
            yield f"stage {stage} after all before it: ", stage_space(space, stage, kept)
        kept |= {path: dimension.ends()[-1] for path, dimension in vary.items()}


@dataclass(frozen=True)
class StageTrial:
    """A complete trial of a stage."""

    values: Values
    scores: Mapping[str, float]
    """`k_loc`, `k_acc` and `success_rate` of the checkpoint it keeps."""


@dataclass(frozen=True)
class StageVerdict:
    """What becomes of a stage."""

    kept: Values
    """What later stages start from; empty where nothing is."""
    sentence: str
    moved: Mapping[str, float] = field(default_factory=dict)
    """The best trial's scores less those of trial 0."""


def verdict(reference: StageTrial, others: Sequence[StageTrial], keep: Keep) -> StageVerdict:
    """Keep the best trial's values if its scores hold against those of trial 0.

    Args:
        reference: Trial 0, without what the stage tries.
        others: The complete ones; where there is none, nothing is kept.
        keep: How much of each score may be lost.
    """
    if not others:
        return StageVerdict({}, "left out: no trial came to its end beside trial 0")
    best = min(others, key=lambda trial: trial.scores["k_loc"])
    moved = {name: best.scores[name] - reference.scores[name] for name in Keep.model_fields}
    lost = {name: moved[name] if name == "k_loc" else -moved[name] for name in moved}
    said = ", ".join(f"{name} {change:+.3f}" for name, change in moved.items())
    # Written so that NaN does not hold.
    if not all(lost[name] <= allowed for name, allowed in keep.model_dump().items()):
        return StageVerdict({}, f"left out: its best trial has {said}", moved)
    return StageVerdict(best.values, f"kept: its best trial has {said}", moved)
