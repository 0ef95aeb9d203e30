"""Finds dead dimensions of a space: two values train the same weights and scores."""

import hashlib
from collections.abc import Callable, Mapping
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
from risexp.space.derived import stage_space
from risexp.space.probe import Pair, pairs
from risexp.space.spec import SearchSpace
from risexp.training.curriculum import ramp_starts
from risexp.training.plan import Plan

EPOCHS: Final = 6
"""Enough to distinguish ramps and phases of different lengths."""
BATCHES: Final = 2
BATCH: Final = 32
SCENES: Final = 64
"""Validation scenes."""

WORK: Final = (
    "training.epochs",
    "training.scenes_per_epoch",
    "validation.scenes",
    "validation.calibration_scenes",
)
"""Fields for the amount of work: never dead, and cut short here."""
UNSEEN: Final = (
    "training.compile",
    "training.patience",
    "training.selection",
    "curriculum.warm_start",
    "localisation.fallback",
)
"""Fields without an effect in a few steps."""


@dataclass(frozen=True)
class Trace:
    """Result of a short run."""

    losses: tuple[float, ...]
    weights: str
    scores: tuple[tuple[str, float], ...]
    ended: str | None
    """Sentence of the guard that ended the run, if one did."""

    def differs(self, other: "Trace") -> tuple[str, ...]:
        """Names of the results that differ; NaN equals NaN."""
        return tuple(
            name for name in vars(self) if repr(vars(self)[name]) != repr(vars(other)[name])
        )


@dataclass(frozen=True)
class ProbeResult:
    """Effect of one dimension."""

    path: str
    one: Any
    two: Any
    differs: tuple[str, ...]
    """Differences of both runs; `work` or `unseen` if none were made."""

    @property
    def dead(self) -> bool:
        """True if neither weights nor scores differ: a loss alone moves no weight."""
        return not {*self.differs} - {"losses"}

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {**vars(self), "differs": list(self.differs), "dead": self.dead}


Train = Callable[[RunConfig], Trace]


def probe_space(
    space: SearchSpace,
    over: tuple[Layer, ...] = (),
    train: Train | None = None,
    tell: Callable[[ProbeResult], None] = lambda _: None,
) -> tuple[ProbeResult, ...]:
    """Train two short runs for each dimension, from one seed, on the same scenes and one thread."""
    torch.set_num_threads(1)
    parts = [stage_space(space, stage, {}) for stage in space.stages] or [space]
    results: dict[str, ProbeResult] = {}
    runs = _Runs(train or trace)
    first = parts[0].trial_zero(over).config
    runs.expect_repeatable(shortened(first, "", lasting(first)))
    for part in parts:
        base = part.trial_zero(over).config
        compared = {pair.path: pair for pair in pairs(part, base)}
        for path in part.vary:
            if path not in results:
                results[path] = _result(part, path, compared.get(path), runs)
                tell(results[path])
    return tuple(results.values())


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
        """Refuse to compare if the same configuration trains differently twice."""
        apart = self.of(config).differs(self._train(config))
        if apart:
            raise VerificationFailed(
                f"two runs of the same configuration differ in {', '.join(apart)}: nothing can be "
                "said about dimensions on this machine"
            )


def _result(space: SearchSpace, path: str, pair: Pair | None, runs: _Runs) -> ProbeResult:
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
    """Number of epochs until all ramps end, which begin later in a longer run of three phases."""
    lengths = config.curriculum.ramps(config.weighed)
    epochs, needed = 0, max(EPOCHS, *lengths.values(), 0)
    while epochs < needed:
        epochs, starts = needed, ramp_starts(config, needed)
        ends = (starts[name] + length - 1 for name, length in lengths.items())
        needed = max(epochs, *ends, 0)
    return epochs


def shortened(config: RunConfig, path: str, epochs: int) -> RunConfig:
    """Cut a run to a few steps; the probed field `path` stays as it is."""
    pieces = config.training.accumulation
    few = pieces * -(-BATCH // pieces)
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
    """Train a short run to its end."""
    trainer = ProbeTrainer()
    network, objective = trainer.fresh_network(config), trainer.objective_of(config)
    validate = _LastEpochValidator(config)
    short_run = trainer.train(config, train_setup(network, objective, objective, validate))
    return Trace(
        losses=tuple(epoch.losses.total for epoch in short_run.epochs),
        weights=_hash(network),
        scores=tuple(sorted(short_run.scores.items())),
        ended=short_run.aborted,
    )


class _LastEpochValidator:
    """Validates the last epoch only."""

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
        estimate = self._localise(answer, self._scenes.frames)
        return {**dict(summarise(score_scenes(estimate, self._scenes.truth)).items()), "loss": 0.0}


def _hash(network: Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
