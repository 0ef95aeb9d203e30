"""The sections that decide what learns: the network, its loss, its curriculum and its training."""

from collections.abc import Collection, Container
from typing import Final, Literal, Self

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

STRUCTURE: Final = (
    "eigengap",
    "subspace",
    "peak_contrast",
    "orthogonality",
    "cross",
    "margin",
)
"""The terms that shape a covariance beyond its error; they may come in by a ramp."""
LABELLED: Final = frozenset({"cov", "cov_pred", "eigengap", "margin"})
"""The terms that compare with the covariance of the label, and so with the powers in it."""

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

    def canonical(self, symbols: Symbols) -> Self:
        """The same network with its front written out, without what that front does not use."""
        front = self.front_for(symbols)
        idle = {"heads": front == "image", "search_steps": front != "pursuit"}
        return self.resting(idle).model_copy(update={"front": front})


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

    def canonical(self, sources_max: int, weighed: Container[str]) -> Self:
        """The same head without what its kind, its path and the weight of its loss switch off.

        Args:
            sources_max: Largest count; ordinal logits of one source are none.
            weighed: The terms of the loss that have a weight.
        """
        lone = sources_max == 1
        untold = lone and self.kind == "ordinal"
        untaught = untold or "count" not in weighed
        return self.resting(
            {
                "path": untold,
                "detach_spectral": untaught or self.path == "direct",
                "under_weight": untaught,
                "over_weight": untaught,
                "smoothing": untaught or self.kind != "softmax",
                "decision": lone,
                "threshold": lone or self.kind != "ordinal" or self.decision != "probable",
            }
        )


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

    @property
    def weighed(self) -> frozenset[str]:
        """The terms that have a weight."""
        weights = self.model_dump(include=set(LossWeights.model_fields))
        return frozenset(name for name, weight in weights.items() if weight > 0.0)


def _weight(term: str, default: float) -> float:
    """The weight of a term by another default, and in the same words."""
    said = LossWeights.model_fields[term].description
    field: float = Field(default=default, ge=0.0, le=1e3, description=said)
    return field


class LossConfig(LossWeights):
    """The loss of the joint phase, and how terms are weighed against each other."""

    cov: float = _weight("cov", 0.1)
    cov_pred: float = _weight("cov_pred", 0.05)
    count: float = _weight("count", 1.0)
    pointers: float = _weight("pointers", 1.0)
    existence: float = _weight("existence", 0.2)
    found: float = _weight("found", 0.2)
    balance: Balance = "fixed"
    """Weights as given (`fixed`), or scaled by learned log-variances (`uncertainty`)."""
    structure_share: float | None = Field(default=None, gt=0.0, le=0.5)
    """Share of the total that a structure term of weight one is scaled to, and one of weight w to
    w times as much: their weights are relative, and ramps work on them. Null takes weights as they
    are."""
    label_power: LabelPower = "linear"
    """Powers in the label covariance: as they are, or their square roots (`compressed`)."""

    def canonical(self, phases: Container[str], weighed: Collection[str]) -> Self:
        """The same loss without what no phase uses.

        Args:
            phases: Those that are run.
            weighed: The terms that have a weight in one of them.
        """
        idle = dict.fromkeys(LossWeights.model_fields, "joint" not in phases)
        shaped, labelled = (not terms.isdisjoint(weighed) for terms in (set(STRUCTURE), LABELLED))
        return self.resting(idle | {"structure_share": not shaped, "label_power": not labelled})


class GeometryWeights(LossWeights):
    """The loss while only the geometry is learned."""

    cov: float = _weight("cov", 0.5)
    subspace: float = _weight("subspace", 0.5)
    pointers: float = _weight("pointers", 1.0)
    count: float = _weight("count", 0.1)
    found: float = _weight("found", 0.2)


class CountWeights(LossWeights):
    """The loss while only the count is learned."""

    cov: float = _weight("cov", 0.1)
    pointers: float = _weight("pointers", 0.5)
    count: float = _weight("count", 1.5)
    found: float = _weight("found", 0.2)
