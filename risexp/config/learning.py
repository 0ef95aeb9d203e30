"""The sections of the network, its count head and its loss."""

from collections.abc import Collection, Container
from copy import copy
from typing import Final, Literal, Self, cast

from pydantic import Field, model_validator

from risexp.config.measurement import Symbols
from risexp.config.section import Section

Front = Literal["pursuit", "image", "aperture"]
FactorKind = Literal["pointers", "free", "spectrum"]
CountKind = Literal["ordinal", "softmax", "slots"]
CountDecision = Literal["useful", "probable"]
CountPath = Literal["both", "spectral", "direct"]
LabelPower = Literal["linear", "compressed"]
Balance = Literal["fixed", "uncertainty"]

STRUCTURE: Final = (
    "eigengap",
    "subspace",
    "peak_contrast",
    "orthogonality",
    "cross",
    "margin",
)
"""The loss terms of the covariance's structure; a ramp may raise their weights."""
LABELLED: Final = frozenset({"cov", "cov_pred", "eigengap", "margin"})
"""The loss terms that depend on the powers in the label's covariance."""

Weight = Field(default=0.0, ge=0.0, le=1e3)
CovarianceWeight = Field(default=0.0, ge=0.0, lt=1e2)
"""Weight of the term that other weights are set beside: at 100 it alone would train the network."""


class NetworkConfig(Section):
    """The front and the size of the network."""

    front: Front | None = None
    """Input of the network: a greedy search of few steps (`pursuit`), the solved field as an image
    over directions and ranges (`image`), or the field's elements as tokens (`aperture`). Null:
    `pursuit` for held symbols, `image` for fresh ones."""
    width: int = Field(default=64, ge=8, le=1024)
    """Features of a token, or channels of an image."""
    depth: int = Field(default=2, ge=1, le=24)
    """Number of blocks."""
    heads: int = Field(default=4, ge=1, le=32)
    """Attention heads; they share the width."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of features dropped at random in training."""
    search_steps: int = Field(default=2, ge=1, le=14)
    """Gauss-Newton steps of the `pursuit` front after each source it adds."""

    def front_for(self, symbols: Symbols) -> Front:
        """The front for these symbols, with the default resolved."""
        return self.front or ("pursuit" if symbols == "frame" else "image")

    def canonical(self, symbols: Symbols) -> Self:
        """The same network with its front explicit and without fields that it does not use."""
        front = self.front_for(symbols)
        idle = {"heads": front == "image", "search_steps": front != "pursuit"}
        return self.reset_idle(idle).model_copy(update={"front": front})


class FactorsConfig(Section):
    """The columns of the predicted covariance."""

    kind: FactorKind = "pointers"
    """Waves from the predicted points (`pointers`), any columns (`free`), or waves from the peaks
    of a learned map of directions (`spectrum`)."""
    lambda_range: float = Field(default=0.1, ge=0.0, le=10.0)
    """Weight of the second factor, which models the uncertainty of ranges."""


class CountConfig(Section):
    """The count head and its loss."""

    kind: CountKind = "ordinal"
    """Logits of P(K > t) that fall with t (`ordinal`), one a class (`softmax`), or one a source
    slot (`slots`)."""
    path: CountPath = "both"
    """Input of the count head: eigenvalues and residual energies (`spectral`), the network's
    features (`direct`), or a learned mixture that starts at one half (`both`)."""
    detach_spectral: bool = True
    """Whether the gradient stops before the covariance in the spectral path."""
    under_weight: float = Field(default=1.0, gt=0.0, le=100.0)
    """Cost of a count that is too low."""
    over_weight: float = Field(default=1.0, gt=0.0, le=100.0)
    """Cost of a count that is too high."""
    smoothing: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of a `softmax` label that is spread over all classes."""
    decision: CountDecision = "useful"
    """The answered count: the most probable one (`probable`), or that of the largest P(K) +
    P(K and all K sources are found), the expected hits and successes (`useful`)."""
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Probability from which an `ordinal` step counts, if the `probable` count is answered."""

    def canonical(self, sources_max: int, weighed: Container[str]) -> Self:
        """The same head with idle fields at their defaults.

        Args:
            sources_max: Largest count; for one source there are no ordinal logits.
            weighed: The loss terms with a weight.
        """
        lone = sources_max == 1
        logitless = lone and self.kind == "ordinal"
        untaught = logitless or "count" not in weighed
        return self.reset_idle(
            {
                "path": logitless,
                "detach_spectral": untaught or self.path == "direct",
                "under_weight": untaught,
                "over_weight": untaught,
                "smoothing": untaught or self.kind != "softmax",
                "decision": lone,
                "threshold": lone or self.kind != "ordinal" or self.decision != "probable",
            }
        )


class LossWeights(Section):
    """The weights of the loss terms; a term of weight zero is not evaluated."""

    cov: float = CovarianceWeight
    """NMSE of the effective covariance, blend included."""
    cov_pred: float = Weight
    """NMSE of the predicted covariance without samples."""
    count: float = Weight
    """Error of the count head."""
    pointers: float = Weight
    """Error of azimuth, elevation and inverse range under the best assignment."""
    existence: float = Weight
    """Cross entropy of the slots' existence under the best assignment."""
    found: float = Weight
    """Cross entropy of P(all sources are found), which decides a `useful` count."""
    heat: float = Weight
    """Focal cross entropy of the heat map of directions."""
    eigengap: float = Weight
    """Hinge on the ratio of the first noise eigenvalue to the last signal one."""
    subspace: float = Weight
    """Share of the true waves that the predicted columns do not span."""
    peak_contrast: float = Weight
    """Hinge on the null spectrum at true sources against a ring around them."""
    orthogonality: float = Weight
    """Overlap of the columns of one factor."""
    cross: float = Weight
    """Overlap of the two factors."""
    margin: float = Weight
    """Hinge on the weakest signal eigenvalue against the label's."""

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if self.cov + self.cov_pred + self.count + self.pointers <= 0.0:
            message = "no main term has a weight: set one of cov, cov_pred, count, pointers"
            raise ValueError(message)
        return self

    @property
    def weighed(self) -> frozenset[str]:
        """The terms with a weight."""
        weights = self.model_dump(include=set(LossWeights.model_fields))
        return frozenset(name for name, weight in weights.items() if weight > 0.0)


def _weight(term: str, default: float) -> float:
    """The weight of a term with another default and the same bounds and description."""
    field = copy(LossWeights.model_fields[term])
    field.default = default
    return cast("float", field)


class LossConfig(LossWeights):
    """The loss of the joint phase, and how its terms are balanced."""

    cov: float = _weight("cov", 0.1)
    cov_pred: float = _weight("cov_pred", 0.05)
    count: float = _weight("count", 1.0)
    pointers: float = _weight("pointers", 1.0)
    existence: float = _weight("existence", 0.2)
    found: float = _weight("found", 0.2)
    balance: Balance = "fixed"
    """Weights as given (`fixed`), or scaled by learned log-variances (`uncertainty`)."""
    structure_share: float | None = Field(default=None, gt=0.0, le=0.5)
    """Share of the total loss of a structure term of weight one; one of weight w gets w times as
    much, and ramps work on these weights. Null uses weights as they are."""
    label_power: LabelPower = "linear"
    """Powers in the label covariance: as they are (`linear`), or square roots (`compressed`)."""

    def canonical(self, phases: Container[str], weighed: Collection[str]) -> Self:
        """The same loss with fields that no phase uses at their defaults.

        Args:
            phases: The phases of the run.
            weighed: The terms with a weight in one of them.
        """
        idle = dict.fromkeys(LossWeights.model_fields, "joint" not in phases)
        structured, labelled = (
            not terms.isdisjoint(weighed) for terms in (set(STRUCTURE), LABELLED)
        )
        return self.reset_idle(
            idle | {"structure_share": not structured, "label_power": not labelled}
        )


class GeometryWeights(LossWeights):
    """The loss of the geometry phase."""

    cov: float = _weight("cov", 0.5)
    subspace: float = _weight("subspace", 0.5)
    pointers: float = _weight("pointers", 1.0)
    count: float = _weight("count", 0.1)
    found: float = _weight("found", 0.2)


class CountWeights(LossWeights):
    """The loss of the count phase."""

    cov: float = _weight("cov", 0.1)
    pointers: float = _weight("pointers", 0.5)
    count: float = _weight("count", 1.5)
    found: float = _weight("found", 0.2)
