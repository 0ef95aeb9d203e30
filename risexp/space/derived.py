"""Spaces and specs derived from others: without a pruner, at full fidelity, or for one stage."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Final

from pydantic import JsonValue

from risexp.config.layers import Layer, preset_layer, resolve
from risexp.errors import SpaceInvalid
from risexp.space.dimensions import Choice
from risexp.space.pruners import NoPruner
from risexp.space.samplers import Random
from risexp.space.spec import Keep, SearchSpace
from risexp.space.study_spec import StudySpec

SEED: Final = "training.seed"
"""The field that a confirming study varies."""
SCENES: Final = "data.seed"
"""The field that a confirming study sets to another value."""
_EPOCHS: Final = "training.epochs"
_PATIENCE: Final = "training.patience"


def unpruned(spec: StudySpec) -> StudySpec:
    """The spec of an audit: the same trials, without a pruner."""
    return StudySpec(_unpruned_space(spec.space, "audit"), spec.over)


def confirming(spec: StudySpec, seeds: Sequence[int], epochs: int | None) -> StudySpec:
    """The spec of a confirmation: the same trials at full fidelity, under several training seeds.

    Full fidelity is the preset's epochs and patience, and no fewer epochs than the study had. The
    scenes differ from those that the study was scored on, and are the same for all trials. A field
    that the study varied stays each trial's own.

    Args:
        spec: Of the study that is confirmed.
        seeds: At least two; the first is the base's.
        epochs: In place of the preset's.
    """
    space, base = spec.space, spec.base
    if _is_condition(space, SEED):
        raise SpaceInvalid(
            f"space {space.name} asks in a condition what {SEED} is: its trials cannot be trained "
            "under several seeds"
        )
    if epochs is not None and _EPOCHS in space.vary:
        raise SpaceInvalid(
            f"--epochs {epochs}: space {space.name} varies {_EPOCHS}, so each of its trials has "
            "its own: leave it out"
        )
    preset = resolve([] if space.base is None else [preset_layer(space.base)]).config.training
    full: dict[str, JsonValue] = {
        _EPOCHS: epochs or max(preset.epochs, base.training.epochs),
        _PATIENCE: preset.patience,
        SEED: seeds[0],
    }
    if scenes_are_free(space):
        (full[SCENES],) = unused_seeds({base.data.seed}, 1)
    fixed = {path: each for path, each in full.items() if path == SEED or path not in space.vary}
    varied = {**space.vary, SEED: Choice(kind="choice", options=list(seeds))}
    derived = _unpruned_space(space, "confirm").model_copy(update={"vary": varied})
    return StudySpec(derived, (*spec.over, Layer("full fidelity", fixed)))


def scenes_are_free(space: SearchSpace) -> bool:
    """True if trials can be confirmed on other scenes: the space neither varies nor asks them."""
    return SCENES not in space.vary and not _is_condition(space, SCENES)


def unused_seeds(used: Collection[object], number: int) -> list[int]:
    """The smallest seeds that are not in use yet."""
    return list(islice((seed for seed in count() if seed not in used), number))


def _unpruned_space(space: SearchSpace, suffix: str) -> SearchSpace:
    """The same space under another name, without a pruner and with a random sampler."""
    changed = {
        "name": f"{space.name}-{suffix}",
        "about": f"trials of {space.name}, each to its end",
        "pruner": NoPruner(kind="none"),
        "sampler": Random(seed=space.sampler.seed),
    }
    return space.model_copy(update=changed)


def _is_condition(space: SearchSpace, path: str) -> bool:
    """True if a condition or a forbidden combination names the field."""
    return any(path in each for each in [*(one.when for one in space.vary.values()), *space.forbid])


def stage_space(space: SearchSpace, stage: str, kept: Mapping[str, JsonValue]) -> SearchSpace:
    """The space of one stage; its trial 0 has the values that earlier stages kept.

    Args:
        space: A space with stages.
        stage: The name of one of them.
        kept: Values of varied fields that earlier stages kept.
    """
    if stage not in space.stages:
        known = ", ".join(space.stages) or "none"
        raise SpaceInvalid(f"space {space.name} has no stage {stage!r}; there are: {known}")
    vary = space.stages[stage]
    changed = {
        "name": f"{space.name}-{stage}",
        "about": f"stage {stage} of {space.name}",
        "fixed": {**space.fixed, **{path: each for path, each in kept.items() if path not in vary}},
        "start": {path: each for path, each in {**space.start, **kept}.items() if path in vary},
        "vary": vary,
        "stages": {},
        "keep": Keep(),
    }
    return space.model_copy(update=changed)


def stage_spaces(space: SearchSpace) -> Iterator[tuple[str, SearchSpace]]:
    """Every stage with nothing kept before it, and every later one with as much kept as possible.

    Of a range its upper end is kept, of a choice the last option. A space without stages yields
    itself.
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

    values: Mapping[str, JsonValue]
    scores: Mapping[str, float]
    """`k_loc`, `k_acc` and `success_rate` of the checkpoint that its run keeps."""


@dataclass(frozen=True)
class StageVerdict:
    """Whether the values of a stage's best trial are kept."""

    kept: Mapping[str, JsonValue]
    """Values for later stages; empty where nothing is kept."""
    sentence: str
    moved: Mapping[str, float] = field(default_factory=dict)
    """The best trial's scores less those of trial 0."""


def verdict(reference: StageTrial, others: Sequence[StageTrial], keep: Keep) -> StageVerdict:
    """Keep the best trial's values if its scores hold against those of trial 0.

    Args:
        reference: Trial 0.
        others: The other complete trials; where there is none, nothing is kept.
        keep: The loss that is allowed in each score.
    """
    if not others:
        return StageVerdict({}, "left out: no trial came to its end beside trial 0")
    best = min(others, key=lambda trial: trial.scores["k_loc"])
    moved = {name: best.scores[name] - reference.scores[name] for name in Keep.model_fields}
    lost = {name: moved[name] if name == "k_loc" else -moved[name] for name in moved}
    changes = ", ".join(f"{name} {change:+.3f}" for name, change in moved.items())
    # Written so that NaN does not hold.
    if not all(lost[name] <= allowed for name, allowed in keep.model_dump().items()):
        return StageVerdict({}, f"left out: its best trial has {changes}", moved)
    return StageVerdict(best.values, f"kept: its best trial has {changes}", moved)
