"""A trained network as a sealed folder: weights, configuration and calibration, under checksums."""

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
from risexp.config.section import one_sentence
from risexp.core.sealed import Seal, SealedFile, SealedPart, Sha, canonical_sha
from risexp.errors import EnvironmentFailed, ModelRefused
from risexp.inference.predictor import Localiser, Predictor
from risexp.model.network import Network
from risexp.model.observation import Observer
from risexp.runs.folder import is_name
from risexp.training.checkpoint import restore

MANIFEST: Final = "manifest.json"
WEIGHTS: Final = "weights.safetensors"
MODEL: Final = "model.json"
ARTIFACT: Final = "bundle"
"""Name of the bundle among the artifacts of an MLflow model."""
BUNDLE_PATH: Final = f"artifacts/{ARTIFACT}"
"""Path of the bundle inside the folder of an MLflow model."""


@dataclass(frozen=True)
class Bundle:
    """The weights of a run's best epoch, and everything else that its answers depend on."""

    run_id: str
    epoch: int
    config: RunConfig
    tree: Mapping[str, Any] = field(repr=False)
    """The configuration as it was written when the weights were made."""
    beta: float
    """Share of the sampled covariance that the weights were validated with."""
    temperature: float | None
    """Divisor of the count's logits; None if it was not fitted."""
    scores: Mapping[str, float] = field(repr=False)
    weights: Mapping[str, Tensor] = field(repr=False)
    made_with: Mapping[str, str] = field(
        default_factory=lambda: {"risexp": __version__, "torch": str(torch.__version__)}
    )

    @property
    def config_sha(self) -> str:
        """Hash of the configuration as it was written."""
        return canonical_sha(self.tree)

    @property
    def parameters(self) -> int:
        """Number of learned values."""
        return sum(weight.numel() for weight in self.weights.values())

    def network(self, device: torch.device) -> Network:
        """Build the network with these weights, ready to answer."""
        # Answers do not depend on a compiler, which the machine that serves may not have.
        network = Network(self.config.replace({"training.compile": False}))
        restore(network.state_dict(), self.weights, "averaged weights")
        if self.temperature is not None:
            network.set_temperature(self.temperature)
        return network.to(device).eval()

    def predictor(self, device: torch.device) -> Predictor:
        """Build the path from frames to positions."""
        config = self.config
        network = self.network(device)
        return Predictor(network, Observer.of(config), Localiser.of(config), self.beta)


def _run_name(run_id: str) -> str:
    if not is_name(run_id):
        raise ValueError(f"{run_id!r} is no name of a run")
    return run_id


class _Header(BaseModel):
    """The file `model.json`: a bundle without its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["risexp-model-1"] = "risexp-model-1"
    run_id: Annotated[str, AfterValidator(_run_name)]
    epoch: int = Field(ge=1)
    config: dict[str, Any]
    config_sha: Sha
    beta: float = Field(ge=0.0, le=1.0)
    temperature: float | None = Field(gt=0.0)
    parameters: int
    scores: dict[str, float | None]
    made_with: dict[str, str]


class _File(SealedFile):
    name: str = Field(pattern=r"^[a-z0-9-]+\.[a-z]+$")
    size: int = Field(ge=0, le=4 << 30)


class _Manifest(SealedPart):
    """The file `manifest.json`, which commits the folder."""

    format: Literal["risexp-sealed-1"] = "risexp-sealed-1"
    files: list[_File]


_SEAL: Final = Seal(
    _Manifest, "manifest of a model", ModelRefused, one_sentence, ": fetch the model again"
)


def seal(folder: Path, files: Mapping[str, bytes]) -> str:
    """Write files into a folder, each durably, and the manifest last."""
    manifest = _Manifest(files=[_File.of(name, content) for name, content in sorted(files.items())])
    try:
        return _SEAL.write(folder / MANIFEST, manifest, files)
    except OSError as error:
        raise EnvironmentFailed(f"cannot write the model to {folder}: {error.strerror}") from None


def unseal(folder: Path) -> tuple[dict[str, bytes], str]:
    """Read the files of a folder, every byte compared with the manifest; and their digest.

    Raises:
        ModelRefused: A file is missing or was changed.
        EnvironmentFailed: A file exists and cannot be read.
    """
    manifest, digest = _SEAL.read(folder / MANIFEST)
    return {file.name: _SEAL.verified(folder / file.name, file) for file in manifest.files}, digest


def write_bundle(bundle: Bundle, folder: Path) -> str:
    """Seal a bundle in a folder: its files, then their manifest."""
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


def find_bundle(folder: Path) -> Path | None:
    """Find the bundle in the folder of an MLflow model, or in a bundle's own folder."""
    for place in (folder / BUNDLE_PATH, folder):
        if (place / MANIFEST).is_file() and (place / MODEL).is_file():
            return place
    return None


def read_bundle(folder: Path, digest: str | None = None) -> Bundle:
    """Read a bundle, after every byte of it was compared with its manifest.

    Raises:
        ModelRefused: A file is missing or was changed, or this version cannot use it.
        EnvironmentFailed: A file exists and cannot be read.
    """
    files, actual = unseal(folder)
    if digest is not None and digest != actual:
        raise ModelRefused(
            f"this model is another one than was registered: its digest is {actual[:12]}, and "
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
        scores={
            name: math.nan if value is None else value for name, value in header.scores.items()
        },
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
