"""The sections that decide how it is learned: beta, phases, steps, and how an epoch is judged."""

from typing import Literal, Self

from pydantic import Field, model_validator

from risexp.config.learning import CountWeights, GeometryWeights
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


class CurriculumConfig(Section):
    """Which phase an epoch belongs to, and what is weighed in it."""

    phase: PhaseChoice = "joint"
    """All that the run does: one phase, or geometry, count and joint one after another."""
    geometry_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of the epochs of a three-phase run given to the geometry."""
    count_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of the epochs of a three-phase run given to the count."""
    count_ramp: int = Field(default=0, ge=0, le=1000)
    """Epochs over which the weight of the count rises from a tenth to its full value."""
    structure_ramp: int = Field(default=0, ge=0, le=1000)
    """Epochs over which the weights of structure terms rise from zero."""
    count_backbone_lr: float = Field(default=0.0, ge=0.0, le=1.0)
    """Learning-rate factor of the backbone in the count phase; zero freezes it."""
    geometry: GeometryWeights = GeometryWeights()
    """The loss of the geometry phase."""
    count: CountWeights = CountWeights()
    """The loss of the count phase."""
    warm_start: str | None = None
    """A checkpoint, or a run whose best one is taken, to start the weights from."""

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
