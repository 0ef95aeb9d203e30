"""The sections that decide how it is learned: beta, phases, steps, and how an epoch is judged."""

from collections.abc import Collection
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from risexp.config.learning import STRUCTURE, CountWeights, GeometryWeights
from risexp.config.section import Section

Part = Literal["backbone", "heads"]
Phase = Literal["geometry", "count", "joint"]
PhaseChoice = Literal["geometry", "count", "joint", "three-phase"]
Selection = Literal["k_loc", "success", "loss"]
LocalisationSpectrum = Literal["music", "mvdr", "pointers"]
Refinement = Literal["none", "measurement"]
Fallback = Literal["none", "bic"]


class BetaConfig(Section):
    """How much of the sampled covariance is blended into the predicted one."""

    start: float = Field(default=0.0, ge=0.0, le=1.0)
    """Beta of the first epoch."""
    final: float = Field(default=0.0, ge=0.0, le=1.0)
    """Beta after the ramp. At one the main loss has no gradient and `cov_pred` must carry it."""
    ramp_share: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of all epochs over which beta moves from start to final, at least two epochs."""
    jitter: float = Field(default=0.0, ge=0.0, le=0.5)
    """Half the width of the uniform noise on an epoch's beta, drawn before the run."""

    @property
    def moves(self) -> bool:
        """Whether there is a ramp from one value to another."""
        return self.start != self.final

    def canonical(self) -> Self:
        """The same course of beta; where it does not move, how long it would take is nothing."""
        return self.resting({"ramp_share": not self.moves})


class CurriculumConfig(Section):
    """Which phase an epoch belongs to, and what is weighed in it."""

    phase: PhaseChoice = "joint"
    """All that the run does: one phase, or geometry, count and joint one after another."""
    geometry_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of the epochs of a three-phase run given to the geometry."""
    count_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of the epochs of a three-phase run given to the count."""
    count_ramp: int = Field(default=0, ge=0, le=1000)
    """Epochs over which the weight of the count rises from a tenth to its full value; with 0 or 1
    it has that from the first."""
    structure_ramp: int = Field(default=0, ge=0, le=1000)
    """Epochs over which the weights of structure terms rise from zero; with 0 or 1 they have their
    full value from the first."""
    count_backbone_lr: float = Field(default=0.0, ge=0.0, le=1.0)
    """Learning-rate factor of the backbone in the count phase; zero freezes it."""
    geometry: GeometryWeights = GeometryWeights()
    """The loss of the geometry phase."""
    count: CountWeights = CountWeights()
    """The loss of the count phase."""
    warm_start: str | None = None
    """What to start the weights from: a run, by name or folder, whose best checkpoint is taken; or
    a checkpoint, by one of its files or by the folder whose best one is taken."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that are run, one after another."""
        every: tuple[Phase, ...] = get_args(Phase)
        return every if self.phase == "three-phase" else (self.phase,)

    def ramps(self, weighed: Collection[str]) -> dict[str, int]:
        """How many epochs each ramp takes, by its field; without those that change nothing.

        Args:
            weighed: The terms of the loss that have a weight.
        """
        shaped = not set(STRUCTURE).isdisjoint(weighed)
        wanted = {
            "count_ramp": self.count_ramp if "count" in weighed else 0,
            "structure_ramp": self.structure_ramp if shaped else 0,
        }
        return {name: length for name, length in wanted.items() if length > 1}

    def canonical(self, weighed: Collection[str]) -> Self:
        """The same phases without what belongs to others, or rises from nothing to nothing.

        Args:
            weighed: The terms of the loss that have a weight.
        """
        phases, ramps = self.phases, self.ramps(weighed)
        return self.resting(
            {
                "geometry_share": self.phase != "three-phase",
                "count_share": self.phase != "three-phase",
                "count_ramp": "count_ramp" not in ramps,
                "structure_ramp": "structure_ramp" not in ramps,
                "count_backbone_lr": "count" not in phases,
                "geometry": "geometry" not in phases,
                "count": "count" not in phases,
            }
        )

    @model_validator(mode="after")
    def _phases_leave_room(self) -> Self:
        if self.geometry_share + self.count_share >= 1.0:
            message = "geometry_share and count_share leave no epoch for the joint phase"
            raise ValueError(message)
        frozen = self.phase == "count" and self.count_backbone_lr == 0.0
        if frozen and self.warm_start is None:
            message = (
                "phase = 'count' freezes a backbone that has learned nothing: name a warm_start, "
                "or give count_backbone_lr a value"
            )
            raise ValueError(message)
        return self


class OptimizerConfig(Section):
    """AdamW, warm-up and cosine decay, counted in optimizer steps."""

    lr: float = Field(default=1e-3, ge=1e-7, le=1.0)
    """Largest learning rate of the backbone."""
    head_factor: float = Field(default=1.0, gt=0.0, le=100.0)
    """Learning rate of the heads over that of the backbone."""
    weight_decay: float = Field(default=1e-2, ge=0.0, le=10.0)
    """Decoupled decay of matrices; biases and scales are left out."""
    warmup_share: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of all steps over which the rate rises linearly, from its first step's share."""
    final_share: float = Field(default=0.01, ge=0.0, le=1.0)
    """Rate of the last step over the largest."""
    clip: float = Field(default=1.0, gt=0.0, le=1e6)
    """Largest norm of the whole gradient."""


class TrainingConfig(Section):
    """How long, in which pieces, and in which precision it is trained; what is kept of it."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Names the first weights and what is left out at random."""
    epochs: int = Field(default=20, ge=1, le=100_000)
    """Epochs in all phases together."""
    scenes_per_epoch: int = Field(default=16_384, ge=1)
    """Fresh scenes of an epoch."""
    batch: int = Field(default=256, ge=1)
    """Scenes of an optimizer step."""
    accumulation: int = Field(default=1, ge=1, le=1024)
    """Pieces of a batch whose gradients are added before a step."""
    repeat: bool = False
    """Whether every epoch sees the scenes of the first again, to overfit them."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the backbone; physics and loss are computed in single precision or better."""
    compile: bool = False
    """Whether the backbone is compiled by torch."""
    ema_decay: float | None = Field(default=0.999, gt=0.0, lt=1.0)
    """Decay of the averaged weights, which are validated and kept; null keeps the plain ones."""
    selection: Selection = "k_loc"
    """What the best epoch is best in."""
    patience: int | None = Field(default=None, ge=1)
    """Judged epochs without a better one after which a run ends; null never ends it early."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """How a step is taken."""

    def canonical(self) -> Self:
        """The same training in whole batches; what is repeated in one epoch is nothing."""
        whole = self.scenes_per_epoch // self.batch * self.batch
        resting = self.resting({"repeat": self.epochs == 1})
        return resting.model_copy(update={"scenes_per_epoch": whole})

    @model_validator(mode="after")
    def _pieces_fit(self) -> Self:
        if self.batch % self.accumulation:
            message = f"batch = {self.batch} cannot be cut into accumulation = {self.accumulation}"
            raise ValueError(message)
        if self.scenes_per_epoch < self.batch:
            message = (
                f"scenes_per_epoch = {self.scenes_per_epoch} make no batch of {self.batch}: an "
                "epoch needs at least one step"
            )
            raise ValueError(message)
        return self


class ValidationConfig(Section):
    """How an epoch is judged: with real localisation, on scenes that no training sees."""

    scenes: int = Field(default=1024, ge=1)
    """Scenes of the validation stream, the same in every epoch."""
    calibration_scenes: int = Field(default=2048, ge=1)
    """Scenes of the calibration stream that set the count's temperature after training."""


class LocalisationConfig(Section):
    """How a prediction becomes positions."""

    spectrum: LocalisationSpectrum = "music"
    """The spectrum of the effective covariance whose peaks are sources; or no spectrum: the
    likeliest slots of the pointers."""
    refine: Refinement = "none"
    """Whether positions are moved on to fit the measurements themselves."""
    fallback: Fallback = "none"
    """Who counts where the head is unsure. `bic` would hide a dead head: never in validation."""
