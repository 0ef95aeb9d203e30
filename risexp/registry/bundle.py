"""A network as it is shipped: its weights, and all else that its answers depend on."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import safetensors.torch
import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from risexp import __version__
from risexp.config.run import RunConfig
from risexp.config.words import one_sentence
from risexp.core.sealed import Sha, canonical_sha
from risexp.errors import ModelRefused
from risexp.inference.predictor import Localiser, Predictor
from risexp.model.network import Network
from risexp.model.observation import Observer
from risexp.registry.seal import MANIFEST, seal, unseal
from risexp.runs.folder import is_name
from risexp.training.state import restore

WEIGHTS: Final = "weights.safetensors"
MODEL: Final = "model.json"
NAME: Final = "bundle"
"""Of a bundle among the files that MLflow keeps for a model."""
INSIDE: Final = f"artifacts/{NAME}"
"""Where it lies in the folder that MLflow calls a model."""
_FORMAT: Final = "risexp-model-1"


def _versions() -> dict[str, str]:
    return {"risexp": __version__, "torch": str(torch.__version__)}


@dataclass(frozen=True)
class Bundle:
    """The weights of a run's best epoch, and how they are to be used."""

    run_id: str
    epoch: int
    """After how many epochs of the run."""
    config: RunConfig
    tree: Mapping[str, Any] = field(repr=False)
    """The configuration as it was written when the weights were made."""
    beta: float
    """Share of the samples the weights were judged with."""
    temperature: float | None
    """What the count's logits are divided by; None where it was not fitted."""
    scores: Mapping[str, float] = field(repr=False)
    """What the validation found when they were chosen."""
    weights: Mapping[str, Tensor] = field(repr=False)
    made_with: Mapping[str, str] = field(default_factory=_versions)
    """Versions of risexp and torch."""

    @property
    def config_sha(self) -> str:
        """The hash of the configuration, as it was written."""
        return canonical_sha(self.tree)

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(weight.numel() for weight in self.weights.values())

    def network(self, device: torch.device) -> Network:
        """The network with these weights, ready to answer.

        Raises:
            CheckpointRefused: They are another network's.
        """
        # Answers do not depend on a compiler, which the machine that serves may not have.
        network = Network(self.config.replace({"training.compile": False}))
        restore(network.state_dict(), self.weights, "averaged weights")
        if self.temperature is not None:
            network.calibrated(self.temperature)
        return network.to(device).eval()

    def predictor(self, device: torch.device) -> Predictor:
        """From frames to positions.

        Raises:
            CheckpointRefused: The weights are another network's.
        """
        config = self.config
        network = self.network(device)
        return Predictor(network, Observer.of(config), Localiser.of(config), self.beta)


def _named(run_id: str) -> str:
    if not is_name(run_id):
        raise ValueError(f"{run_id!r} is no name of a run")
    return run_id


class _Header(BaseModel):
    """A bundle without its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["risexp-model-1"] = _FORMAT
    run_id: Annotated[str, AfterValidator(_named)]
    epoch: int = Field(ge=1)
    config: dict[str, Any]
    config_sha: Sha
    beta: float = Field(ge=0.0, le=1.0)
    temperature: float | None = Field(gt=0.0)
    parameters: int
    scores: dict[str, float | None]
    made_with: dict[str, str]


def write_bundle(bundle: Bundle, folder: Path) -> str:
    """Write a bundle into a folder, its manifest last.

    Returns:
        The digest of what was written.

    Raises:
        EnvironmentFailed: The disk is full or forbidden.
    """
    header = _Header(
        run_id=bundle.run_id,
        epoch=bundle.epoch,
        config=dict(bundle.tree),
        config_sha=bundle.config_sha,
        beta=bundle.beta,
        temperature=bundle.temperature,
        parameters=bundle.parameters,
        scores={
            name: value if math.isfinite(value) else None for name, value in bundle.scores.items()
        },
        made_with=dict(bundle.made_with),
    )
    text = json.dumps(header.model_dump(mode="json"), indent=1, allow_nan=False)
    weights = safetensors.torch.save(dict(bundle.weights))
    return seal(folder, {WEIGHTS: weights, MODEL: f"{text}\n".encode()})


def bundle_in(place: Path) -> Path | None:
    """Where the bundle of a model's folder lies, or of a bundle's own; None where there is none."""
    for folder in (place / INSIDE, place):
        if (folder / MANIFEST).is_file() and (folder / MODEL).is_file():
            return folder
    return None


def read_bundle(folder: Path, digest: str | None = None) -> Bundle:
    """The bundle in a folder, every byte verified before any of it is understood.

    Args:
        folder: Of the bundle itself.
        digest: What it has to have, where a registry keeps it.

    Raises:
        ModelRefused: Something is missing or was changed, or this version cannot use it.
        EnvironmentFailed: A file is there and cannot be read.
    """
    files, found = unseal(folder)
    if digest is not None and digest != found:
        raise ModelRefused(
            f"this model is another one than was registered: its digest is {found[:12]}, and "
            f"the registry has {digest[:12]}"
        )
    if missing := {WEIGHTS, MODEL} - files.keys():
        raise ModelRefused(f"{folder} holds no model: {min(missing)} is not in its manifest")
    header = _header(folder, files[MODEL])
    bundle = Bundle(
        run_id=header.run_id,
        epoch=header.epoch,
        config=_config(folder, header),
        tree=header.config,
        beta=header.beta,
        temperature=header.temperature,
        scores={name: math.nan if each is None else each for name, each in header.scores.items()},
        weights=_weights(folder, files[WEIGHTS]),
        made_with=header.made_with,
    )
    if bundle.parameters != header.parameters:
        raise ModelRefused(
            f"{folder / WEIGHTS} holds {bundle.parameters} numbers, and {MODEL} states "
            f"{header.parameters}: fetch the model again"
        )
    return bundle


def _header(folder: Path, text: bytes) -> _Header:
    try:
        header = _Header.model_validate_json(text)
    except ValidationError as error:
        raise ModelRefused(f"{folder / MODEL}: {one_sentence(error)}") from None
    if canonical_sha(header.config) != header.config_sha:
        raise ModelRefused(f"{folder / MODEL} states the hash of another configuration")
    return header


def _config(folder: Path, header: _Header) -> RunConfig:
    try:
        return RunConfig.model_validate_json(json.dumps(header.config))
    except ValidationError as error:
        made = header.made_with.get("risexp", "another version")
        raise ModelRefused(
            f"the model in {folder} was made by risexp {made}, and this is {__version__}: "
            f"{one_sentence(error)}"
        ) from None


def _weights(folder: Path, content: bytes) -> dict[str, Tensor]:
    try:
        weights = safetensors.torch.load(content)
    except SafetensorError as error:
        raise ModelRefused(f"{folder / WEIGHTS} cannot be read: {error}") from None
    for name, weight in weights.items():
        if not bool(torch.isfinite(weight).all()):
            raise ModelRefused(f"{folder / WEIGHTS}: {name} holds a value that is not finite")
    return weights
