"""A checkpoint put to use again: by the name of its run, or by its place."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from risexp.config.run import RunConfig
from risexp.config.words import one_sentence
from risexp.errors import CheckpointRefused
from risexp.inference.localise import Localiser
from risexp.inference.predictor import Predictor
from risexp.model.network import Network
from risexp.model.observation import Observer
from risexp.tracking.folder import find_run
from risexp.training.checkpoint import Checkpoint
from risexp.training.manifest import committed, contents, manifest_path, read_manifest, unpacked
from risexp.training.state import restore
from risexp.training.vault import Chosen, best


@dataclass(frozen=True)
class Trained:
    """A network with the weights that were judged best, and the run they come from."""

    checkpoint: Checkpoint
    config: RunConfig
    predictor: Predictor
    damaged: tuple[str, ...] = ()
    """What was wrong with better checkpoints, in sentences."""


def trained(name: str, device: torch.device) -> Trained:
    """The best network of a run, by its name or its folder; or that of a checkpoint, by its place.

    Raises:
        RisexpError: There is no such run or checkpoint, or no sound one was kept.
    """
    found = checkpoint_named(name)
    config = config_of(found.checkpoint)
    predictor = predictor_of(found.checkpoint, config, device)
    return Trained(found.checkpoint, config, predictor, found.damaged)


def checkpoint_named(name: str) -> Chosen:
    """The best checkpoint of a run, by its name or its folder; or a checkpoint, by its place.

    Args:
        name: Of a run; or a path to a run's folder, to a folder of checkpoints, of which the best
            one is taken, or to any file of a checkpoint.

    Raises:
        RisexpError: There is no such run or checkpoint, or no sound one was kept.
    """
    place = Path(name)
    if place.is_file():
        return Chosen(_of_file(place), ())
    kept = [each for each in (place, *sorted(place.glob("attempt-*"))) if committed(each)]
    return best(kept or find_run(name).attempts())


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
    network = Network(config)
    restore(network.state_dict(), checkpoint.state.averaged, "averaged weights")
    if checkpoint.temperature is not None:
        network.calibrated(checkpoint.temperature)
    return network.to(device).eval()


def predictor_of(checkpoint: Checkpoint, config: RunConfig, device: torch.device) -> Predictor:
    """From frames to positions, with a checkpoint's weights and its beta."""
    return Predictor(
        network_of(checkpoint, config, device),
        Observer.of(config),
        Localiser.of(config),
        checkpoint.beta,
    )
