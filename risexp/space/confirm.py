"""Studies of another study's trials: at full fidelity over several seeds, or merely to the end."""

from collections.abc import Collection, Sequence
from itertools import count, islice
from typing import Final

from pydantic import JsonValue

from risexp.config.layers import Layer, preset_layer, resolve
from risexp.errors import SpaceInvalid
from risexp.space.dimensions import Choice
from risexp.space.pruners import NoPruner
from risexp.space.samplers import Random
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec

SEED: Final = "training.seed"
"""What a study varies that confirms another one."""
SCENES: Final = "data.seed"
"""What it has other than the one it confirms."""
_EPOCHS: Final = "training.epochs"
_PATIENCE: Final = "training.patience"


def unpruned(charter: StudySpec, name: str) -> StudySpec:
    """The charter of the same trials, none of which is ended early.

    Args:
        charter: Of the study they are from.
        name: Of the new space.
    """
    return StudySpec(_alone(charter.space, name), charter.over)


def confirming(
    charter: StudySpec, seeds: Sequence[int], epochs: int | None, name: str
) -> StudySpec:
    """The charter of the same trials at full fidelity, each under several training seeds.

    Full fidelity is the preset's epochs and patience, and no fewer epochs than the study had. The
    scenes are others than those by which the study chose, the same for all. What the study varied
    of this stays each trial's own.

    Args:
        charter: Of the study they are from.
        seeds: At least two; the first is the base's.
        epochs: In place of the preset's.
        name: Of the new space.

    Raises:
        SpaceInvalid: The space asks what the seed is, or varies the epochs that are given.
    """
    space = charter.space
    if _asks(space, SEED):
        raise SpaceInvalid(
            f"space {space.name} asks in a condition what {SEED} is: its trials cannot be trained "
            "under several seeds"
        )
    if epochs is not None and _EPOCHS in space.vary:
        raise SpaceInvalid(
            f"--epochs {epochs}: space {space.name} varies {_EPOCHS}, so each of its trials has "
            "its own: leave it out"
        )
    full = {**_full(charter, epochs), SEED: seeds[0]}
    if scenes_are_free(space):
        (full[SCENES],) = unused_seeds({charter.base.data.seed}, 1)
    over = Layer("full fidelity", {path: each for path, each in full.items() if _free(space, path)})
    varied = {**space.vary, SEED: Choice(kind="choice", options=list(seeds))}
    derived = _alone(space, name).model_copy(update={"vary": varied})
    return StudySpec(derived, (*charter.over, over))


def scenes_are_free(space: SearchSpace) -> bool:
    """Whether its trials can be confirmed on other scenes: nothing of it depends on which."""
    return _free(space, SCENES) and not _asks(space, SCENES)


def unused_seeds(used: Collection[object], wanted: int) -> list[int]:
    """The smallest seeds that nobody has used: what was chosen for its luck meets other luck."""
    return list(islice((each for each in count() if each not in used), wanted))


def _alone(space: SearchSpace, name: str) -> SearchSpace:
    """The same space, in which nothing is ended early and nothing is learned from trials."""
    changed = {
        "name": name,
        "about": f"trials of {space.name}, each to its end",
        "pruner": NoPruner(kind="none"),
        "sampler": Random(seed=space.sampler.seed),
    }
    return space.model_copy(update=changed)


def _full(charter: StudySpec, epochs: int | None) -> dict[str, JsonValue]:
    space, searched = charter.space, charter.base.training
    whole = resolve([] if space.base is None else [preset_layer(space.base)]).config.training
    return {_EPOCHS: epochs or max(whole.epochs, searched.epochs), _PATIENCE: whole.patience}


def _asks(space: SearchSpace, path: str) -> bool:
    """Whether a condition or a forbidden combination names a field."""
    return any(path in each for each in [*(one.when for one in space.vary.values()), *space.forbid])


def _free(space: SearchSpace, path: str) -> bool:
    return path == SEED or path not in space.vary
