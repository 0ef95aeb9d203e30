"""The whole configuration of a run, its one way to change, and its hash."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from pydantic import ValidationError, model_validator
from pydantic.fields import FieldInfo

from risexp.config.learning import (
    STRUCTURE,
    CountConfig,
    FactorsConfig,
    LossConfig,
    LossWeights,
    NetworkConfig,
)
from risexp.config.section import Section
from risexp.config.sections import CovarianceConfig, DataConfig, PhysicsConfig, SampledConfig
from risexp.config.training import (
    BetaConfig,
    CurriculumConfig,
    LocalisationConfig,
    Phase,
    TrainingConfig,
    ValidationConfig,
)
from risexp.config.words import nearest, one_sentence
from risexp.core.sealed import canonical_sha
from risexp.errors import ConfigInvalid


class RunConfig(Section):
    """Everything that decides a run; what is not here does not vary."""

    physics: PhysicsConfig = PhysicsConfig()
    """The panel, the base station and the law of the signals."""
    data: DataConfig = DataConfig()
    """The scenes that are drawn."""
    sampled: SampledConfig = SampledConfig()
    """The covariance estimated from the measurements."""
    covariance: CovarianceConfig = CovarianceConfig()
    """The effective covariance that everything downstream sees."""
    network: NetworkConfig = NetworkConfig()
    """What looks at a scene."""
    factors: FactorsConfig = FactorsConfig()
    """What the predicted covariance is made of."""
    count: CountConfig = CountConfig()
    """How the sources are counted."""
    loss: LossConfig = LossConfig()
    """What is learned, and how much each part of it counts."""
    beta: BetaConfig = BetaConfig()
    """How much of the samples is blended in, epoch by epoch."""
    curriculum: CurriculumConfig = CurriculumConfig()
    """What is learned first."""
    training: TrainingConfig = TrainingConfig()
    """How it is trained."""
    validation: ValidationConfig = ValidationConfig()
    """How it is judged while it is trained."""
    localisation: LocalisationConfig = LocalisationConfig()
    """How a prediction becomes positions."""

    @model_validator(mode="after")
    def _sources_are_identifiable(self) -> Self:
        """Five real unknowns a source against 2 N of the solved vector; or K < N powers."""
        held = self.physics.symbols == "frame"
        limit = 2 * self.physics.elements // 5 if held else self.physics.elements - 1
        if self.data.sources_max > limit:
            message = (
                f"data.sources_max = {self.data.sources_max} with {self.physics.elements} "
                f"elements: the measurements cannot hold the unknowns of more than {limit} sources"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _samples_fit_the_symbols(self) -> Self:
        if self.physics.symbols == "snapshot" and self.sampled.method == "joint":
            message = (
                "sampled.method = 'joint' solves for one vector, and physics.symbols = 'snapshot' "
                "sends another in each snapshot: use per_snapshot"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _front_fits(self) -> Self:
        if self.physics.symbols == "snapshot" and self.network.front == "pursuit":
            message = (
                "network.front = 'pursuit' searches the one vector of held symbols, and "
                "physics.symbols = 'snapshot' sends another in each snapshot: use image or aperture"
            )
            raise ValueError(message)
        front = self.network.front_for(self.physics.symbols)
        width, heads = self.network.width, self.network.heads
        if front != "image" and width % heads:
            message = f"network.width = {width} cannot be shared by network.heads = {heads}"
            raise ValueError(message)
        losses = (self.loss, self.curriculum.geometry, self.curriculum.count)
        mapped = self.factors.kind == "spectrum" or any(each.heat > 0.0 for each in losses)
        if mapped and front != "image":
            message = (
                f"factors.kind = 'spectrum' and heat in a loss need a map of directions: "
                f"network.front = 'image' draws one, {front!r} does not"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _shares_leave_room(self) -> Self:
        share = self.loss.structure_share or 0.0
        for phase in self.curriculum.phases:
            weights = self.loss_of(phase).model_dump(include=set(STRUCTURE))
            asked = share * math.fsum(weights.values())
            if asked >= 1.0:
                message = (
                    f"loss.structure_share = {share:g} with the structure weights of the {phase} "
                    f"phase asks for {asked:g} of the total: leave room for the main terms"
                )
                raise ValueError(message)
        return self

    def loss_of(self, phase: Phase) -> LossWeights:
        """The weights of a phase."""
        match phase:
            case "geometry":
                return self.curriculum.geometry
            case "count":
                return self.curriculum.count
            case "joint":
                return self.loss

    @property
    def weighed(self) -> frozenset[str]:
        """The terms of the loss that have a weight in a phase that is run."""
        return frozenset().union(*(self.loss_of(each).weighed for each in self.curriculum.phases))

    def canonical(self) -> Self:
        """The same run: what follows from other fields written out, what they switch off at rest.

        A field at rest has its default, whatever it was given.
        """
        symbols, weighed = self.physics.symbols, self.weighed
        return self.model_copy(
            update={
                "physics": self.physics.canonical(),
                "sampled": self.sampled.canonical(symbols),
                "network": self.network.canonical(symbols),
                "count": self.count.canonical(self.data.sources_max, weighed),
                "loss": self.loss.canonical(self.curriculum.phases, weighed),
                "beta": self.beta.canonical(),
                "curriculum": self.curriculum.canonical(weighed),
                "training": self.training.canonical(),
            }
        )

    def law_sha(self) -> str:
        """The hash of what scenes and classical localisers depend on, and learning does not."""
        return self.sha("physics", "data", "sampled", "covariance")

    def replace(
        self, changes: Mapping[str, object], origins: Mapping[str, str] | None = None
    ) -> Self:
        """This configuration with dotted paths changed, validated again as a whole.

        Raises:
            ConfigInvalid: A path is unknown or the result is not a possible run.
        """
        tree = self.model_dump()
        for path, value in changes.items():
            if path not in fields():
                origin = f" (from {origins[path]})" if origins and path in origins else ""
                raise ConfigInvalid(unknown_field(path, origin))
            *parents, name = path.split(".")
            branch = tree
            for parent in parents:
                branch = branch[parent]
            branch[name] = value
        try:
            return type(self).model_validate(tree)
        except ValidationError as error:
            raise ConfigInvalid(one_sentence(error, origins)) from None

    def flat(self) -> dict[str, Any]:
        """Every field as dotted path and JSON value."""
        tree = self.model_dump(mode="json")
        return {path: _at(tree, path) for path in fields()}

    def sha(self, *sections: str) -> str:
        """SHA-256 of the canonical JSON of the whole, or of the named sections only.

        How a configuration was written is not in it, nor what other fields switch off.

        Raises:
            ValueError: There is no such section.
        """
        if unknown := set(sections) - type(self).model_fields.keys():
            message = f"there is no section {min(unknown)!r} to hash"
            raise ValueError(message)
        return canonical_sha(
            self.canonical().model_dump(mode="json", include=set(sections) or None)
        )


@cache
def fields() -> Mapping[str, FieldInfo]:
    """Every field of a run by its dotted path, in the order it is declared."""
    return dict(_leaves(RunConfig, ""))


def unknown_field(path: str, origin: str = "") -> str:
    """That there is no such field, and which one was probably meant."""
    if any(known.startswith(f"{path}.") for known in fields()):
        return f"{path}{origin} is a section, not a field: name a field of it"
    hint = nearest(path, fields()) or "; risexp config show lists all"
    return f"there is no field {path!r}{origin}{hint}"


def describe(path: str) -> str:
    """What a field is for, in one line."""
    return " ".join((fields()[path].description or "").split())


def _leaves(section: type[Section], prefix: str) -> list[tuple[str, FieldInfo]]:
    found: list[tuple[str, FieldInfo]] = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found += _leaves(kind, f"{prefix}{name}.")
        else:
            found.append((prefix + name, field))
    return found


def _at(tree: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - a JSON value of any kind
    value: Any = tree
    for part in path.split("."):
        value = value[part]
    return value
