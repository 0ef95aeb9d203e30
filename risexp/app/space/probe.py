"""A few steps for two values of every dimension: who changes nothing that is learned is dead."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import Module

from risexp.config.layers import Layer
from risexp.config.run import RunConfig
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.probe_trainer import ProbeTrainer, train_setup
from risexp.errors import VerificationFailed
from risexp.evaluation.scene_scores import score_scenes
from risexp.evaluation.scores import summarise
from risexp.inference.predictor import Localiser
from risexp.model.observation import Observer
from risexp.space.probe import Pair, pairs
from risexp.space.spec import SearchSpace
from risexp.space.stages import stage_space
from risexp.training.plan import Plan

EPOCHS: Final = 6
"""Enough that ramps and phases of different lengths are told apart."""
BATCHES: Final = 2
BATCH: Final = 32
SCENES: Final = 64
"""Of the validation."""

WORK: Final = (
    "training.epochs",
    "training.scenes_per_epoch",
    "validation.scenes",
    "validation.calibration_scenes",
)
"""Fields that say how much is done: they are no dead ones by what they are, and cut short here."""
UNSEEN: Final = (
    "training.compile",
    "training.patience",
    "training.selection",
    "curriculum.warm_start",
    "localisation.fallback",
)
"""Fields that a few steps cannot show at work."""


@dataclass(frozen=True)
class Trace:
    """What a short run left."""

    losses: tuple[float, ...]
    """Of each epoch."""
    weights: str
    """The hash of all weights at the end."""
    scores: tuple[tuple[str, float], ...]
    """Of the validation at the end, by name."""
    ended: str | None
    """What a guard said that gave it up, if one did."""

    def differs(self, other: "Trace") -> tuple[str, ...]:
        """In what two runs differ; NaN does not differ from itself."""
        return tuple(
            name for name in vars(self) if repr(vars(self)[name]) != repr(vars(other)[name])
        )


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found of one dimension."""

    path: str
    one: Any
    two: Any
    differs: tuple[str, ...]
    """In what the two runs differ; `work` or `unseen` where none were made."""

    @property
    def dead(self) -> bool:
        """Whether nothing differs that is left: a loss alone moves no weight."""
        return not {*self.differs} - {"losses"}

    def as_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return {**vars(self), "differs": list(self.differs), "dead": self.dead}


Train = Callable[[RunConfig], Trace]


def probe_space(
    space: SearchSpace,
    over: tuple[Layer, ...] = (),
    train: Train | None = None,
    tell: Callable[[ProbeResult], None] = lambda _: None,
) -> tuple[ProbeResult, ...]:
    """Train two short runs for every dimension, from one seed, on the same scenes and one thread.

    Args:
        space: A sound one.
        over: What a search sets on top of it.
        train: Makes the short runs.
        tell: Told each dimension as it is found.

    Raises:
        VerificationFailed: The same configuration does not train the same way twice.
    """
    torch.set_num_threads(1)
    parts = [stage_space(space, stage, {}) for stage in space.stages] or [space]
    found: dict[str, ProbeResult] = {}
    runs = _Runs(train or trace)
    first = parts[0].trial_zero(over).config
    runs.expect_repeatable(shortened(first, "", lasting(first)))
    for part in parts:
        base = part.trial_zero(over).config
        compared = {pair.path: pair for pair in pairs(part, base)}
        for path in part.vary:
            if path not in found:
                found[path] = _found(part, path, compared.get(path), runs)
                tell(found[path])
    return tuple(found.values())


class _Runs:
    """Short runs, none made twice."""

    def __init__(self, train: Train) -> None:
        self._train = train
        self._made: dict[str, Trace] = {}

    def of(self, config: RunConfig) -> Trace:
        """The run of a configuration."""
        sha = config.sha()
        if sha not in self._made:
            self._made[sha] = self._train(config)
        return self._made[sha]

    def expect_repeatable(self, config: RunConfig) -> None:
        """Refuse to compare runs that differ by themselves."""
        apart = self.of(config).differs(self._train(config))
        if apart:
            raise VerificationFailed(
                f"two runs of the same configuration differ in {', '.join(apart)}: nothing can be "
                "said about dimensions on this machine"
            )


def _found(space: SearchSpace, path: str, pair: Pair | None, runs: _Runs) -> ProbeResult:
    ends = space.vary[path].ends()
    if pair is None:
        return ProbeResult(path, ends[0], ends[-1], ())
    for fields, word in ((WORK, "work"), (UNSEEN, "unseen")):
        if path in fields:
            return ProbeResult(path, pair.one, pair.two, (word,))
    epochs = max(map(lasting, pair.configs))
    one, two = (runs.of(shortened(config, path, epochs)) for config in pair.configs)
    return ProbeResult(path, pair.one, pair.two, one.differs(two))


def lasting(config: RunConfig) -> int:
    """Epochs in which a short run comes to the end of its ramps."""
    return max(EPOCHS, *config.curriculum.ramps(config.weighed).values(), 0)


def shortened(config: RunConfig, path: str, epochs: int) -> RunConfig:
    """A run of a few steps.

    Args:
        config: The whole run.
        path: The field that is probed, which stays as it is.
        epochs: Of the short run.
    """
    batch_sizes = config.training.accumulation
    few = batch_sizes * -(-BATCH // batch_sizes)
    batch = config.training.batch if path == "training.batch" else few
    short: dict[str, Any] = {
        "training.batch": batch,
        "training.scenes_per_epoch": BATCHES * batch,
        "training.epochs": epochs,
        "training.patience": None,
        "training.compile": False,
        "curriculum.warm_start": None,
        "validation.scenes": SCENES,
    }
    if config.curriculum.phase == "count" and config.curriculum.count_backbone_lr == 0.0:
        # Without the weights it would start from, a frozen backbone is refused.
        short["curriculum.count_backbone_lr"] = 1.0
    return config.replace(short)


def trace(config: RunConfig) -> Trace:
    """Train a run to its end, and keep what it left."""
    trainer = ProbeTrainer()
    network, objective = trainer.fresh_network(config), trainer.objective(config)
    judge = _Judge(config)
    short_run = trainer.train(config, train_setup(network, objective, objective, judge))
    return Trace(
        losses=tuple(epoch.losses.total for epoch in short_run.epochs),
        weights=_hash(network),
        scores=tuple(sorted(short_run.scores.items())),
        ended=short_run.aborted,
    )


class _Judge:
    """Scores the last epoch as a validation would, and the others not at all."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        generator = SceneGenerator(config.physics, config.data)
        self._scenes = generator.scenes("validation", 0, config.validation.scenes)
        self._observation = Observer.of(config)(self._scenes.frames)
        self._localise = Localiser.of(config)

    @torch.no_grad()
    def __call__(self, network: Module, plan: Plan) -> Mapping[str, float]:
        if plan.epoch < self._config.training.epochs:
            return {"k_loc": 0.0, "success_rate": 0.0, "loss": 0.0}
        answer = network.eval()(self._observation, plan.beta)
        found = self._localise(answer, self._scenes.frames)
        return {**dict(summarise(score_scenes(found, self._scenes.truth)).items()), "loss": 0.0}


def _hash(network: Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in _state(network):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _state(network: Module) -> Iterator[tuple[str, torch.Tensor]]:
    return iter(sorted(network.state_dict().items()))
