"""A checkpoint put to use again: by the name of its run, or by its place."""

import json
from dataclasses import dataclass

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
from risexp.training.state import restore
from risexp.training.vault import best


@dataclass(frozen=True)
class Trained:
    """A network with the weights that were judged best, and the run they come from."""

    checkpoint: Checkpoint
    config: RunConfig
    predictor: Predictor


def trained(name: str, device: torch.device) -> Trained:
    """The best network of a run, by its name or its folder.

    Raises:
        RisexpError: There is no such run, or it kept no sound checkpoint.
    """
    checkpoint = best(find_run(name).attempts())
    config = config_of(checkpoint)
    return Trained(checkpoint, config, predictor_of(checkpoint, config, device))


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
