"""Resolves a name to a trained network: a run, a checkpoint, a model's folder, or `models:/...`."""

import errno
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError

from risexp.config.run import RunConfig
from risexp.config.section import one_sentence
from risexp.errors import CheckpointRefused, InvalidInput
from risexp.inference.predictor import Predictor
from risexp.model.network import Network
from risexp.registry.sealed_model import Bundle, find_bundle, read_bundle
from risexp.runs.folder import find_run, is_name, is_run
from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_manifest import (
    committed,
    contents,
    manifest_path,
    read_manifest,
    unpacked,
)
from risexp.training.checkpoint_store import SoundCheckpoint, best


@dataclass(frozen=True)
class ResolvedModel:
    """The bundle that a name stands for."""

    bundle: Bundle
    damaged: tuple[str, ...] = ()
    """Faults of better checkpoints, in sentences."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network on a device, and the bundle it comes from."""

    bundle: Bundle
    predictor: Predictor
    damaged: tuple[str, ...] = ()
    """Faults of better checkpoints, in sentences."""

    @property
    def config(self) -> RunConfig:
        """The configuration it was trained under."""
        return self.bundle.config


def load_trained(name: str, device: torch.device) -> TrainedNetwork:
    """Load the network that a name stands for."""
    model = resolve_bundle(name)
    return TrainedNetwork(model.bundle, model.bundle.predictor(device), model.damaged)


def resolve_bundle(name: str) -> ResolvedModel:
    """Load the bundle of a run, a checkpoint, a registered model or a model's folder."""
    if name.startswith("models:"):
        from risexp.registry.model_address import download_model

        return ResolvedModel(download_model(name))
    path = _path(name)
    # A folder of that name in the current directory does not hide a run.
    folder = None if is_name(name) and is_run(name) else find_bundle(path)
    if folder is not None:
        return ResolvedModel(read_bundle(folder))
    kept = resolve_checkpoint(name)
    return ResolvedModel(bundle_of(kept.checkpoint), kept.damaged)


def resolve_checkpoint(name: str) -> SoundCheckpoint[Checkpoint]:
    """Load the best checkpoint of a run or a folder, or the one that a file is part of."""
    path = _path(name)
    if path.is_file():
        return SoundCheckpoint(_checkpoint_with(path), ())
    folders = (path, *sorted(path.glob("attempt-*")))
    kept = [folder for folder in folders if committed(folder)]
    return best(kept or find_run(name).attempts())


def _path(name: str) -> Path:
    if not name:
        raise InvalidInput("the name is empty: name a run, a checkpoint or a model")
    try:
        os.lstat(name)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidInput(f"{name[:40]}... is too long for a name") from None
    return Path(name)


def _checkpoint_with(path: Path) -> Checkpoint:
    folder = path.parent
    manifests = {manifest_path(folder, epoch): epoch for epoch in committed(folder)}
    files = {file: epoch for epoch, file in contents(folder)}
    epoch = (manifests | files).get(path)
    if epoch is not None:
        manifest = read_manifest(folder, epoch)
        if path in manifests or path.name in {manifest.header.name, manifest.tensors.name}:
            return unpacked(folder, epoch)
    raise CheckpointRefused(
        f"{path} is no file of a checkpoint: name a run, a folder of checkpoints, or an "
        "epoch-*.manifest.json"
    )


def config_of(checkpoint: Checkpoint) -> RunConfig:
    """The configuration a checkpoint was made under."""
    try:
        return RunConfig.model_validate_json(json.dumps(checkpoint.config))
    except ValidationError as error:
        raise CheckpointRefused(
            f"the checkpoint of run {checkpoint.run_id!r} was made by another version: "
            f"{one_sentence(error)}"
        ) from None


def network_of(checkpoint: Checkpoint, config: RunConfig, device: torch.device) -> Network:
    """The network with the averaged weights of a checkpoint, ready to answer."""
    return replace(bundle_of(checkpoint), config=config).network(device)


def bundle_of(checkpoint: Checkpoint) -> Bundle:
    """A checkpoint as a bundle: its averaged weights, without the state of the training."""
    return Bundle(
        run_id=checkpoint.run_id,
        epoch=checkpoint.epoch,
        config=config_of(checkpoint),
        tree=checkpoint.config,
        beta=checkpoint.beta,
        temperature=checkpoint.temperature,
        scores=checkpoint.scores,
        weights=checkpoint.state.averaged,
    )
