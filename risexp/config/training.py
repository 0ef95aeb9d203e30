"""The sections of beta, curriculum, training, validation and localisation."""

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
    """Half width of the uniform noise on an epoch's beta, drawn before the run."""

    @property
    def moves(self) -> bool:
        """Whether beta changes over the run."""
        return self.start != self.final

    def canonical(self) -> Self:
        """The same schedule; without a ramp its length is idle."""
        return self.reset_idle({"ramp_share": not self.moves})


class CurriculumConfig(Section):
    """The phases of a run, their weights and their ramps."""

    phase: PhaseChoice = "joint"
    """One phase, or geometry, count and joint one after another (`three-phase`)."""
    geometry_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of the geometry phase in the epochs of a three-phase run."""
    count_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of the count phase in the epochs of a three-phase run."""
    count_ramp: int = Field(default=0, ge=0, le=1000)
    """Epochs over which the count's weight rises from a tenth to its full value, from the count
    phase on where there is one; 0 and 1 mean no ramp."""
    structure_ramp: int = Field(default=0, ge=0, le=1000)
    """Epochs over which the weights of structure terms rise from zero, from the first phase on that
    has some; 0 and 1 mean no ramp."""
    count_backbone_lr: float = Field(default=0.0, ge=0.0, le=1.0)
    """Learning-rate factor of the backbone in the count phase; zero freezes it."""
    geometry: GeometryWeights = GeometryWeights()
    """The loss of the geometry phase."""
    count: CountWeights = CountWeights()
    """The loss of the count phase."""
    warm_start: str | None = None
    """Start weights: the best checkpoint of a run (name or folder), or a checkpoint (one of its
    files, or a folder, whose best one is used)."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the run, in order."""
        every: tuple[Phase, ...] = get_args(Phase)
        return every if self.phase == "three-phase" else (self.phase,)

    def ramps(self, weighed: Collection[str]) -> dict[str, int]:
        """The length in epochs of every ramp that has an effect, by its field.

        Args:
            weighed: The loss terms with a weight.
        """
        structured = not set(STRUCTURE).isdisjoint(weighed)
        lengths = {
            "count_ramp": self.count_ramp if "count" in weighed else 0,
            "structure_ramp": self.structure_ramp if structured else 0,
        }
        return {name: length for name, length in lengths.items() if length > 1}

    def canonical(self, weighed: Collection[str]) -> Self:
        """The same curriculum with idle fields at their defaults.

        Args:
            weighed: The loss terms with a weight.
        """
        phases, ramps = self.phases, self.ramps(weighed)
        return self.reset_idle(
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
    """AdamW with warm-up and cosine decay, in optimizer steps."""

    lr: float = Field(default=1e-3, ge=1e-7, le=1.0)
    """Largest learning rate of the backbone."""
    head_factor: float = Field(default=1.0, gt=0.0, le=100.0)
    """Learning rate of the heads over that of the backbone."""
    weight_decay: float = Field(default=1e-2, ge=0.0, le=10.0)
    """Decoupled decay of matrices; biases and scales are exempt."""
    warmup_share: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of all steps over which the rate rises linearly."""
    final_share: float = Field(default=0.01, ge=0.0, le=1.0)
    """Rate of the last step over the largest."""
    clip: float = Field(default=1.0, gt=0.0, le=1e6)
    """Largest norm of the whole gradient."""


class TrainingConfig(Section):
    """The length, batches and precision of training, and which epoch is kept."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the first weights and of dropout."""
    epochs: int = Field(default=20, ge=1, le=100_000)
    """Epochs in all phases together."""
    scenes_per_epoch: int = Field(default=16_384, ge=1, le=10**12)
    """Fresh scenes of an epoch."""
    batch: int = Field(default=256, ge=1)
    """Scenes of an optimizer step."""
    accumulation: int = Field(default=1, ge=1, le=1024)
    """Parts of a batch whose gradients are added before a step."""
    repeat: bool = False
    """Whether every epoch repeats the scenes of the first, to overfit them."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the backbone; physics and loss use single precision or better."""
    compile: bool = False
    """Whether the backbone is compiled by torch."""
    ema_decay: float | None = Field(default=0.999, gt=0.0, lt=1.0)
    """Decay of the averaged weights, which are validated and kept; null uses the plain ones."""
    selection: Selection = "k_loc"
    """The score that selects the best epoch."""
    patience: int | None = Field(default=None, ge=1)
    """Validated epochs without improvement after which a run ends; null never ends it early."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """The optimizer."""

    def canonical(self) -> Self:
        """The same training in whole batches; with one epoch `repeat` is idle."""
        whole = self.scenes_per_epoch // self.batch * self.batch
        reset = self.reset_idle({"repeat": self.epochs == 1})
        return reset.model_copy(update={"scenes_per_epoch": whole})

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
    """Validation after every epoch, by localisation on scenes that training never sees."""

    scenes: int = Field(default=1024, ge=1, le=10**12)
    """Scenes of the validation stream, the same in every epoch."""
    calibration_scenes: int = Field(default=2048, ge=1, le=10**12)
    """Scenes of the calibration stream that set the count's temperature after training."""


class LocalisationConfig(Section):
    """How positions are estimated from a prediction."""

    spectrum: LocalisationSpectrum = "music"
    """The spectrum of the effective covariance whose peaks are sources; `pointers` takes the
    likeliest slots instead."""
    refine: Refinement = "none"
    """Whether positions are refined by a fit to the measurements."""
    fallback: Fallback = "none"
    """The count if the head is unsure. `bic` would hide a dead head: never in validation."""
    backend: Literal["auto", "compiled", "torch"] = "auto"
    """What searches on a CPU: loops compiled by Numba, or torch. `auto` compiles where Numba is
    installed. A GPU, and fresh symbols, always use torch."""
