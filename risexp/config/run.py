"""The whole configuration of a run: how to change it, compare it and hash it."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, Self

from pydantic import JsonValue, ValidationError, model_validator
from pydantic.fields import FieldInfo

from risexp.config.learning import (
    STRUCTURE,
    CountConfig,
    FactorsConfig,
    LossConfig,
    LossWeights,
    NetworkConfig,
)
from risexp.config.measurement import CovarianceConfig, DataConfig, PhysicsConfig, SampledConfig
from risexp.config.section import Section, nearest, one_sentence
from risexp.config.training import (
    BetaConfig,
    CurriculumConfig,
    LocalisationConfig,
    Phase,
    TrainingConfig,
    ValidationConfig,
)
from risexp.core.sealed import canonical_sha
from risexp.errors import ConfigInvalid

LATER: Final = ("localisation.backend",)
"""Fields that were added after version 0.1: at their default they are no part of a hash, so that
earlier runs and studies keep theirs."""


class RunConfig(Section):
    """The configuration of a run."""

    physics: PhysicsConfig = PhysicsConfig()
    """The panel, the base station and the law of the signals."""
    data: DataConfig = DataConfig()
    """The law of the scenes."""
    sampled: SampledConfig = SampledConfig()
    """The covariance sampled from the measurements."""
    covariance: CovarianceConfig = CovarianceConfig()
    """The regularisation of effective covariances."""
    network: NetworkConfig = NetworkConfig()
    """The front and the size of the network."""
    factors: FactorsConfig = FactorsConfig()
    """The columns of the predicted covariance."""
    count: CountConfig = CountConfig()
    """The count head and its loss."""
    loss: LossConfig = LossConfig()
    """The loss of the joint phase."""
    beta: BetaConfig = BetaConfig()
    """How much of the samples is blended in, by epoch."""
    curriculum: CurriculumConfig = CurriculumConfig()
    """The phases of the run."""
    training: TrainingConfig = TrainingConfig()
    """How the network is trained."""
    validation: ValidationConfig = ValidationConfig()
    """Validation after every epoch."""
    localisation: LocalisationConfig = LocalisationConfig()
    """How positions are estimated from a prediction."""

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
        mapped = self.factors.kind == "spectrum" or any(loss.heat > 0.0 for loss in losses)
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
            total = share * math.fsum(weights.values())
            if total >= 1.0:
                message = (
                    f"loss.structure_share = {share:g} with the structure weights of the {phase} "
                    f"phase asks for {total:g} of the total: leave room for the main terms"
                )
                raise ValueError(message)
        return self

    def loss_of(self, phase: Phase) -> LossWeights:
        """The loss weights of a phase."""
        match phase:
            case "geometry":
                return self.curriculum.geometry
            case "count":
                return self.curriculum.count
            case "joint":
                return self.loss

    @property
    def weighed(self) -> frozenset[str]:
        """The loss terms with a weight in a phase of the run."""
        return frozenset().union(*(self.loss_of(phase).weighed for phase in self.curriculum.phases))

    def canonical(self) -> Self:
        """The same run with defaults resolved, and with idle fields at their defaults.

        A field is idle if other fields leave it without effect.
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
        """The hash of the scenes' law: all that classical localisers depend on."""
        return self.sha("physics", "data", "sampled", "covariance")

    def replace(
        self, changes: Mapping[str, object], origins: Mapping[str, str] | None = None
    ) -> Self:
        """This configuration with some dotted paths changed, validated as a whole."""
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
        """Every field by its dotted path, as a JSON value."""
        tree = self.model_dump(mode="json")
        return {path: _at(tree, path) for path in fields()}

    def sha(self, *sections: str) -> str:
        """SHA-256 of the canonical configuration, or of the named sections only.

        It does not depend on how the configuration was written, nor on idle fields.
        """
        if unknown := set(sections) - type(self).model_fields.keys():
            message = f"there is no section {min(unknown)!r} to hash"
            raise ValueError(message)
        return canonical_sha(self.hashed(*sections))

    def hashed(self, *sections: str) -> dict[str, Any]:
        """The canonical tree, or its named sections, without later fields at their default."""
        tree = self.canonical().model_dump(mode="json", include=set(sections) or None)
        for path in LATER:
            section, name = path.split(".")
            if section in tree and tree[section][name] == fields()[path].default:
                del tree[section][name]
        return tree


@cache
def fields() -> Mapping[str, FieldInfo]:
    """Every field of a run by its dotted path, in the order of declaration."""
    return dict(_leaves(RunConfig, ""))


def without_later(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their paths, without later ones at their default."""
    return {
        path: value
        for path, value in flat.items()
        if path not in LATER or value != fields()[path].default
    }


def unknown_field(path: str, origin: str = "") -> str:
    """The sentence for an unknown field, with the nearest known one."""
    if any(known.startswith(f"{path}.") for known in fields()):
        return f"{path}{origin} is a section, not a field: name a field of it"
    hint = nearest(path, fields()) or "; risexp config show lists all"
    return f"there is no field {path!r}{origin}{hint}"


def describe(path: str) -> str:
    """The description of a field in one line."""
    return " ".join((fields()[path].description or "").split())


def _leaves(section: type[Section], prefix: str) -> list[tuple[str, FieldInfo]]:
    leaves: list[tuple[str, FieldInfo]] = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            leaves += _leaves(kind, f"{prefix}{name}.")
        else:
            leaves.append((prefix + name, field))
    return leaves


def _at(tree: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - a JSON value of any kind
    value: Any = tree
    for part in path.split("."):
        value = value[part]
    return value


def differing_fields(configs: Sequence[RunConfig]) -> dict[str, tuple[JsonValue, ...]]:
    """The fields in which configurations differ, with the value in every configuration."""
    flat = [config.flat() for config in configs]
    values = {path: tuple(one[path] for one in flat) for path in (flat[0] if flat else ())}
    return {path: row for path, row in values.items() if any(value != row[0] for value in row)}
