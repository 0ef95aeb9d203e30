"""Models for tests: an untrained network in a bundle, saved models, and frames for them."""

import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.registry.mlflow_model import save_model
from risexp.registry.sealed_model import Bundle
from risexp.training.checkpoint import config_tree
from tests.support.localisation import scenes_of
from tests.support.networks import awake, network_config

Arrays = dict[str, NDArray[Any]]
CPU = torch.device("cpu")
SCENES = 6


@cache
def model_config() -> RunConfig:
    """The model's configuration, as a checkpoint holds it."""
    return network_config().canonical()


@cache
def bundle() -> Bundle:
    """A network with random answers, as if a run had kept it."""
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


@cache
def _template() -> TemporaryDirectory[str]:
    """A model that is written once a session; it is deleted at the end."""
    folder = TemporaryDirectory(prefix="risexp-test-model-")
    save_model(bundle(), Path(folder.name) / "model")
    return folder


def model_in(folder: Path) -> Path:
    return Path(shutil.copytree(Path(_template().name) / "model", folder / "model"))


@cache
def frames() -> Frames:
    return scenes_of(model_config(), SCENES).frames


def arrays(**changes: NDArray[Any]) -> Arrays:
    """The same frames as arrays."""
    fields: Mapping[str, Any] = dict(frames().items())
    return {name: value.numpy() for name, value in fields.items()} | changes


def request() -> Arrays:
    """The same frames as MLflow takes them: codes have three axes, and the SNR is a parameter."""
    known = arrays()
    return {"y": known["y"], "channel": known["channel"], "codes": known["codes"][np.newaxis]}
