"""The sections that decide what learns: the network, its loss, its curriculum and its training."""

from typing import Literal, Self

from pydantic import Field, model_validator

from risexp.config.section import Section
from risexp.config.sections import Symbols

Front = Literal["pursuit", "image", "aperture"]
FactorKind = Literal["pointers", "free", "spectrum"]
CountKind = Literal["ordinal", "softmax", "slots"]
CountDecision = Literal["useful", "probable"]
CountPath = Literal["both", "spectral", "direct"]
LabelPower = Literal["linear", "compressed"]
Balance = Literal["fixed", "uncertainty"]

Weight = Field(default=0.0, ge=0.0, le=1e3)


class NetworkConfig(Section):
    """How a network looks at a scene, and how large it is."""

    front: Front | None = None
    """What the network sees first: a greedy search of few steps (`pursuit`), the solved field as an
    image over directions and ranges (`image`), or the field's elements as tokens (`aperture`).
    Null: `pursuit` for held symbols, `image` for fresh ones."""
    width: int = Field(default=64, ge=8, le=1024)
    """Features of a token, or channels of an image."""
    depth: int = Field(default=2, ge=1, le=24)
    """Blocks one after another."""
    heads: int = Field(default=4, ge=1, le=32)
    """Heads of an attention; they share the width."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of features left out at random in training."""
    search_steps: int = Field(default=2, ge=1, le=14)
    """Gauss-Newton steps of the `pursuit` front after each source it adds."""

    def front_for(self, symbols: Symbols) -> Front:
        """The front under a law of the symbols, the default resolved."""
        return self.front or ("pursuit" if symbols == "frame" else "image")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            message = f"width = {self.width} cannot be shared by heads = {self.heads}"
            raise ValueError(message)
        return self


class FactorsConfig(Section):
    """How the predicted covariance is made of columns."""

    kind: FactorKind = "pointers"
    """Waves from the predicted points (`pointers`), any columns (`free`), or waves from the peaks
    of a learned map of directions (`spectrum`)."""
    lambda_range: float = Field(default=0.1, ge=0.0, le=10.0)
    """Weight of the second factor, which stands for what is not sure about ranges."""


class CountConfig(Section):
    """How the sources are counted."""

    kind: CountKind = "ordinal"
    """Logits of P(K > t) that fall with t (`ordinal`), one a class (`softmax`), or one a source
    slot (`slots`)."""
    path: CountPath = "both"
    """What the count is read from: eigenvalues and residual energies (`spectral`), the network's
    features (`direct`), or a learned mixture that starts at one half."""
    detach_spectral: bool = True
    """Whether the spectral path leaves the covariance alone: no gradient passes through it."""
    under_weight: float = Field(default=1.0, gt=0.0, le=100.0)
    """What counting too few costs."""
    over_weight: float = Field(default=1.0, gt=0.0, le=100.0)
    """What counting too many costs."""
    smoothing: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of a `softmax` label that is spread over all classes."""
    decision: CountDecision = "useful"
    """Which count is answered: the most probable one (`probable`), or that of the largest P(K) +
    P(K and all K sources are found), the expected hits and successes (`useful`)."""
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Probability from which an `ordinal` step counts, where the `probable` count is answered."""


class LossWeights(Section):
    """The weight of every term of the loss; a term of weight zero is not evaluated."""

    cov: float = Weight
    """NMSE of the effective covariance, blend included, against the label's."""
    cov_pred: float = Weight
    """NMSE of the predicted part alone."""
    count: float = Weight
    """Error of the count head, by its kind."""
    pointers: float = Weight
    """Error of azimuth, elevation and inverse range under the best order of the sources."""
    existence: float = Weight
    """Whether a slot holds a source, under the same order."""
    found: float = Weight
    """Whether the head knows that all sources are found, which decides a `useful` count."""
    heat: float = Weight
    """The map of directions against the cells that hold sources."""
    eigengap: float = Weight
    """Hinge on the ratio of the first noise eigenvalue to the last signal one."""
    subspace: float = Weight
    """Share of the true waves that the predicted columns do not span."""
    peak_contrast: float = Weight
    """The null spectrum at true sources against a ring around them."""
    orthogonality: float = Weight
    """Overlap of the columns of one factor."""
    cross: float = Weight
    """Overlap of the two factors."""
    margin: float = Weight
    """How far the weakest signal eigenvalue lies under its due."""

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if self.cov + self.cov_pred + self.count + self.pointers <= 0.0:
            message = "no main term has a weight: set one of cov, cov_pred, count, pointers"
            raise ValueError(message)
        return self


class LossConfig(LossWeights):
    """The loss of the joint phase, and how terms are weighed against each other."""

    cov: float = Field(default=0.1, ge=0.0, le=1e3)
    """NMSE of the effective covariance, blend included, against the label's."""
    cov_pred: float = Field(default=0.05, ge=0.0, le=1e3)
    """NMSE of the predicted part alone."""
    count: float = Field(default=1.0, ge=0.0, le=1e3)
    """Error of the count head, by its kind."""
    pointers: float = Field(default=1.0, ge=0.0, le=1e3)
    """Error of azimuth, elevation and inverse range under the best order of the sources."""
    existence: float = Field(default=0.2, ge=0.0, le=1e3)
    """Whether a slot holds a source, under the same order."""
    found: float = Field(default=0.2, ge=0.0, le=1e3)
    """Whether the head knows that all sources are found, which decides a `useful` count."""
    balance: Balance = "fixed"
    """Weights as given (`fixed`), or scaled by learned log-variances (`uncertainty`)."""
    structure_share: float | None = Field(default=None, gt=0.0, le=0.5)
    """Share of the total that each structure term is scaled to; null leaves their weights alone."""
    label_power: LabelPower = "linear"
    """Powers in the label covariance: as they are, or their square roots (`compressed`)."""


class GeometryWeights(LossWeights):
    """The loss while only the geometry is learned."""

    cov: float = Field(default=0.5, ge=0.0, le=1e3)
    """NMSE of the effective covariance, blend included, against the label's."""
    subspace: float = Field(default=0.5, ge=0.0, le=1e3)
    """Share of the true waves that the predicted columns do not span."""
    pointers: float = Field(default=1.0, ge=0.0, le=1e3)
    """Error of azimuth, elevation and inverse range under the best order of the sources."""
    count: float = Field(default=0.1, ge=0.0, le=1e3)
    """Error of the count head, by its kind."""
    found: float = Field(default=0.2, ge=0.0, le=1e3)
    """Whether the head knows that all sources are found, which decides a `useful` count."""


class CountWeights(LossWeights):
    """The loss while only the count is learned."""

    cov: float = Field(default=0.1, ge=0.0, le=1e3)
    """NMSE of the effective covariance, blend included, against the label's."""
    pointers: float = Field(default=0.5, ge=0.0, le=1e3)
    """Error of azimuth, elevation and inverse range under the best order of the sources."""
    count: float = Field(default=1.5, ge=0.0, le=1e3)
    """Error of the count head, by its kind."""
    found: float = Field(default=0.2, ge=0.0, le=1e3)
    """Whether the head knows that all sources are found, which decides a `useful` count."""
