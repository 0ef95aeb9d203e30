"""Shipped models as the tests need them: an untrained network in a bundle, and its frames."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.registry.bundle import INSIDE, Bundle
from risexp.registry.folder import save_model
from risexp.training.checkpoint import config_tree
from tests.support.localisation import scenes_of
from tests.support.networks import awake, network_config

Arrays = dict[str, NDArray[Any]]
CPU = torch.device("cpu")
SCENES = 6


@cache
def model_config() -> RunConfig:
    """As a checkpoint holds it."""
    return network_config().canonical()


@cache
def bundle() -> Bundle:
    """A network that says something, as if a run had kept it."""
    config = model_config()
    return Bundle(
        run_id="run-1",
        epoch=3,
        config=config,
        tree=config_tree(config),
        beta=0.3,
        temperature=1.5,
        scores={"k_loc": 2.5, "range_rmse": float("nan")},
        weights=dict(awake(config).state_dict()),
    )


def model_in(folder: Path) -> Path:
    """The folder of a complete model."""
    save_model(bundle(), folder / "model")
    return folder / "model"


def bundle_of_model(model: Path) -> Path:
    """Where a model's bundle lies."""
    return model / INSIDE


@cache
def frames() -> Frames:
    """The first frames of the model's law."""
    return scenes_of(model_config(), SCENES).frames


def arrays(**changes: NDArray[Any]) -> Arrays:
    """The same as a person has them."""
    given: Mapping[str, Any] = dict(frames().items())
    return {name: value.numpy() for name, value in given.items()} | changes


def request() -> Arrays:
    """The same as MLflow is given them, which knows one rank of codes and takes the SNR apart."""
    given = arrays()
    return {"y": given["y"], "channel": given["channel"], "codes": given["codes"][np.newaxis]}
