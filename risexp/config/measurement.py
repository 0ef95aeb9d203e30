"""The sections of the panel and its signals, the scenes, and the covariances."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from risexp.config.section import Interval, Section

Wavefront = Literal["spherical", "fresnel", "parabolic"]
Symbols = Literal["frame", "snapshot"]
PowerLaw = Literal["free_space", "equal"]
Codebook = Literal["dft", "balanced", "hadamard", "random"]
SampledMethod = Literal["joint", "per_snapshot"]


class PhysicsConfig(Section):
    """The panel, the base station behind it, and the law of the signals."""

    wavelength_m: float = Field(default=0.3, ge=1e-6, le=100.0)
    """Carrier wavelength; 0.3 m is 1 GHz."""
    elements_h: int = Field(default=12, ge=2, le=256)
    """Panel elements along the horizontal axis h, the fastest one in flattened arrays."""
    elements_v: int = Field(default=12, ge=2, le=256)
    """Panel elements along the vertical axis v."""
    spacing_wavelengths: float = Field(default=0.5, ge=1e-6, le=4.0)
    """Spacing of panel elements and of antennas, in wavelengths."""
    antennas: int = Field(default=16, ge=1, le=4096)
    """Antennas of the base station's uniform line (M)."""
    snapshots: int = Field(default=16, ge=1, le=4096)
    """Snapshots of a scene, all under different phase codes (L)."""
    codebook: Codebook = "dft"
    """The phase codes: every n-th of a 2-D DFT pool (`dft`), the same pool in an order that covers
    both axes (`balanced`), Walsh-Hadamard rows, or random phases."""
    codebook_seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the `random` codebook, the same for all splits and seeds."""
    pool_h: int | None = Field(default=None, ge=1)
    """Horizontal frequencies in the DFT pool. Null: two thirds of the elements along the axis, or
    all of them if two thirds give fewer codes than snapshots."""
    pool_v: int | None = Field(default=None, ge=1)
    """Vertical frequencies in the DFT pool; null as for `pool_h`."""
    phase_bits: int | None = Field(default=3, ge=1, le=16)
    """Resolution of an element's phase in bits; null means continuous."""
    wavefront: Wavefront = "spherical"
    """Phase over the panel: the spherical wave, its Fresnel expansion, or the parabolic form, which
    drops the expansion's cross term."""
    symbols: Symbols = "frame"
    """`frame` holds one symbol a source over all snapshots (a pilot); `snapshot` draws a fresh one
    for every snapshot."""
    power: PowerLaw = "free_space"
    """`free_space`: amplitude lambda / (4 pi r) times a CN(0, 1) symbol; `equal`: amplitude 1 and
    symbols of modulus 1, without path loss or fading."""
    rician_db: Interval = (-24.0, -11.0)
    """Line-of-sight over scattered energy of the channel, uniform in dB."""
    station_deg: float = Field(default=60.0, ge=0.0, le=90.0)
    """Largest azimuth and elevation of the base station, both uniform."""
    station_range_m: float = Field(default=100.0, ge=1e-3, le=1e6)
    """Distance of the base station from the panel, for the line-of-sight part of the channel."""

    @property
    def elements(self) -> int:
        """Number of panel elements (N)."""
        return self.elements_h * self.elements_v

    @property
    def pool(self) -> tuple[int, int]:
        """Frequencies of the DFT pool along h and v, defaults resolved."""
        shares = math.ceil(self.elements_h * 2 / 3), math.ceil(self.elements_v * 2 / 3)
        if shares[0] * shares[1] < self.snapshots:
            shares = self.elements_h, self.elements_v
        return self.pool_h or shares[0], self.pool_v or shares[1]

    def canonical(self) -> Self:
        """The same panel with defaults resolved and without fields that are idle."""
        pooled = self.codebook in ("dft", "balanced")
        return self.model_copy(
            update={
                "pool_h": self.pool[0] if pooled else None,
                "pool_v": self.pool[1] if pooled else None,
                "codebook_seed": self.codebook_seed if self.codebook == "random" else 0,
                "phase_bits": None if self.codebook == "hadamard" else self.phase_bits,
            }
        )

    @property
    def distinct_codes(self) -> int:
        """Number of different codes among L, before their phases are quantised."""
        match self.codebook:
            case "dft" | "balanced":
                return min(self.pool[0] * self.pool[1], self.snapshots)
            case "hadamard":
                return min(1 << (self.elements - 1).bit_length(), self.snapshots)
            case "random":
                return self.snapshots

    @property
    def equations(self) -> int:
        """Independent complex equations of one scene under held symbols, at most L M."""
        return self.antennas * self.distinct_codes

    @model_validator(mode="after")
    def _channel_is_finite(self) -> Self:
        if max(map(abs, self.rician_db)) > 100.0:
            message = f"rician_db = {list(self.rician_db)} is too far out: stay within [-100, 100]"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _codes_exist(self) -> Self:
        axes = (("h", self.pool[0], self.elements_h), ("v", self.pool[1], self.elements_v))
        for axis, pool, elements in axes:
            if pool > elements:
                message = (
                    f"pool_{axis} = {pool} exceeds elements_{axis} = {elements}: "
                    f"an axis has as many DFT frequencies as elements"
                )
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _panel_can_work(self) -> Self:
        if max(self.elements_h, self.elements_v) < 3:
            message = "a 2 x 2 panel cannot tell range: give one axis at least 3 elements"
            raise ValueError(message)
        if self.symbols == "frame" and self.equations < self.elements:
            message = (
                f"{self.antennas} antennas x {self.distinct_codes} distinct codes give "
                f"{self.equations} equations for {self.elements} elements: raise snapshots or "
                f"antennas to at least {self.elements} equations, better 2 N = {2 * self.elements}"
            )
            raise ValueError(message)
        return self


class DataConfig(Section):
    """The law of the scenes: sources, positions and noise."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of all splits."""
    sources_max: int = Field(default=5, ge=1, le=32)
    """Largest number of sources (K_MAX); K is uniform on 1..K_MAX."""
    phi_deg: Interval = (-60.0, 60.0)
    """Azimuth of a source, uniform."""
    theta_deg: Interval = (-30.0, 30.0)
    """Elevation of a source, uniform."""
    range_m: Interval = (0.5, 10.0)
    """Distance of a source from the panel's centre, uniform."""
    separation_deg: float = Field(default=0.0, ge=0.0, le=90.0)
    """Smallest angle between two sources of a scene; 0 means no limit."""
    snr_db: Interval = (-5.0, 20.0)
    """Mean clean power over noise power of a scene, uniform in dB."""

    @model_validator(mode="after")
    def _scenes_can_be_drawn(self) -> Self:
        for name, (low, high) in (("phi_deg", self.phi_deg), ("theta_deg", self.theta_deg)):
            if low <= -90.0 or high >= 90.0:
                message = (
                    f"{name} = [{low:g}, {high:g}] leaves the half space in front of the panel: "
                    "keep it inside (-90, 90)"
                )
                raise ValueError(message)
        if self.range_m[0] <= 0.0:
            message = f"range_m begins at {self.range_m[0]:g}: a source's distance is positive"
            raise ValueError(message)
        if self.range_m[0] < 1e-3 or self.range_m[1] > 1e6:
            message = f"range_m = {list(self.range_m)} is too far out: stay within [1e-3, 1e6]"
            raise ValueError(message)
        if max(map(abs, self.snr_db)) > 100.0:
            message = f"snr_db = {list(self.snr_db)} is too far out: stay within [-100, 100]"
            raise ValueError(message)
        return self


class SampledConfig(Section):
    """The covariance sampled from the measurements."""

    method: SampledMethod | None = None
    """`joint` solves all L M equations for one vector, as held symbols allow; `per_snapshot` solves
    M equations for each snapshot. Null: `joint` for held symbols, `per_snapshot` for fresh ones."""
    ridge: float = Field(default=1e-3, gt=0.0, le=1e3)
    """Tikhonov load of the solve, relative to the mean eigenvalue of its normal matrix."""

    def method_for(self, symbols: Symbols) -> SampledMethod:
        """The method for these symbols, with the default resolved."""
        return self.method or ("joint" if symbols == "frame" else "per_snapshot")

    def canonical(self, symbols: Symbols) -> Self:
        """The same section with an explicit method."""
        return self.model_copy(update={"method": self.method_for(symbols)})


class CovarianceConfig(Section):
    """The regularisation of effective covariances, predictions and labels alike."""

    alpha_base: float = Field(default=1e-3, ge=0.0, le=1.0)
    """Slope of alpha(SNR) = clip(1e-3 + alpha_base 10^(-SNR/20), 1e-4, 0.25), the share of identity
    mixed into a covariance."""
