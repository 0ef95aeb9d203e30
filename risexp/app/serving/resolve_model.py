"""A network put to use again: of a run or a checkpoint, or one that was shipped as a model."""

import errno
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError

from risexp.config.run import RunConfig
from risexp.config.words import one_sentence
from risexp.errors import CheckpointRefused, InvalidInput
from risexp.inference.predictor import Predictor
from risexp.model.network import Network
from risexp.registry.bundle import Bundle, bundle_in, read_bundle
from risexp.runs.folder import find_run, is_name, is_run
from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_manifest import (
    committed,
    contents,
    manifest_path,
    read_manifest,
    unpacked,
)
from risexp.training.checkpoint_store import BestCheckpoint, best


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with the weights that were judged best, and where they come from."""

    bundle: Bundle
    predictor: Predictor
    damaged: tuple[str, ...] = ()
    """What was wrong with better checkpoints, in sentences."""

    @property
    def config(self) -> RunConfig:
        """What it was trained under."""
        return self.bundle.config


@dataclass(frozen=True)
class ResolvedModel:
    """What a name stands for."""

    bundle: Bundle
    damaged: tuple[str, ...] = ()
    """What was wrong with better checkpoints, in sentences."""


def trained(name: str, device: torch.device) -> TrainedNetwork:
    """The network that a name stands for, on a device.

    Raises:
        RisexpError: There is no such run, checkpoint or model, or no sound one.
    """
    found = bundle_named(name)
    return TrainedNetwork(found.bundle, found.bundle.predictor(device), found.damaged)


def bundle_named(name: str) -> ResolvedModel:
    """The weights and all else that the answers depend on, of what a name stands for.

    Args:
        name: Of a run or a checkpoint, as for `checkpoint_named`; or `models:/name@alias`,
            `models:/name/3`, or a path to a model's folder.

    Raises:
        RisexpError: There is no such run, checkpoint or model, or no sound one.
    """
    if name.startswith("models:"):
        from risexp.registry.download import fetched

        return ResolvedModel(fetched(name))
    place = _place(name)
    # A folder that happens to lie here does not take the place of a run.
    shipped = None if is_name(name) and is_run(name) else bundle_in(place)
    if shipped is not None:
        return ResolvedModel(read_bundle(shipped))
    found = checkpoint_named(name)
    return ResolvedModel(bundle_of(found.checkpoint), found.damaged)


def checkpoint_named(name: str) -> BestCheckpoint:
    """The best checkpoint of a run, by its name or its folder; or a checkpoint, by its place.

    Args:
        name: Of a run; or a path to a run's folder, to a folder of checkpoints, of which the best
            one is taken, or to any file of a checkpoint.

    Raises:
        RisexpError: There is no such run or checkpoint, or no sound one was kept.
    """
    place = _place(name)
    if place.is_file():
        return BestCheckpoint(_of_file(place), ())
    kept = [each for each in (place, *sorted(place.glob("attempt-*"))) if committed(each)]
    return best(kept or find_run(name).attempts())


def _place(name: str) -> Path:
    """Where something of a name would lie.

    Raises:
        InvalidInput: Nothing can be called so.
    """
    if not name:
        raise InvalidInput("the name is empty: name a run, a checkpoint or a model")
    try:
        os.lstat(name)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidInput(f"{name[:40]}... is too long for a name") from None
    return Path(name)


def _of_file(place: Path) -> Checkpoint:
    """The checkpoint that a file is part of."""
    folder = place.parent
    epochs = {manifest_path(folder, epoch): epoch for epoch in committed(folder)}
    epoch = (epochs | {path: epoch for epoch, path in contents(folder)}).get(place)
    if epoch is not None:
        manifest = read_manifest(folder, epoch)
        if place in epochs or place.name in {manifest.header.name, manifest.tensors.name}:
            return unpacked(folder, epoch)
    raise CheckpointRefused(
        f"{place} is no file of a checkpoint: name a run, a folder of checkpoints, or an "
        "epoch-*.manifest.json"
    )


def config_of(checkpoint: Checkpoint) -> RunConfig:
    """The configuration a checkpoint was made under.

    Raises:
        CheckpointRefused: This version does not know all that it says.
    """
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
    """A checkpoint as it is shipped: its averaged weights, without what training needs.

    Raises:
        CheckpointRefused: This version does not know all that its configuration says.
    """
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
