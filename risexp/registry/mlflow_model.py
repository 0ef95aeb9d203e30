"""Writes the folder that MLflow calls a model: bundle, loader, signature, example, requirements."""

import json
import os
import platform
import secrets
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from packaging.version import Version

from risexp.config.run import RunConfig
from risexp.core.durable import sync
from risexp.data.arrays import NEEDED, OPTIONAL, Sizes
from risexp.data.scenes import SceneGenerator
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.registry.sealed_model import ARTIFACT, BUNDLE_PATH, Bundle, write_bundle
from risexp.tracking.stores import SETTINGS

os.environ.update(SETTINGS)

from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, ColSpec, Object, Property

from risexp.registry.pyfunc_model import LOADER, Model, ModelSignature, add_to_model

PINNED: Final = ("risexp", "mlflow", "numpy", "pydantic", "safetensors", "torch")
"""Packages whose exact versions a model requires; risexp requires the rest."""
EXAMPLE: Final = "serving_input_example.json"
ENTRY: Final = '''\
"""Copied into each model's folder; MLflow runs it to load the model."""

from mlflow.models import set_model

from risexp.registry.served import Served

set_model(Served())
'''
Nested = str | list["Nested"]


def save_model(bundle: Bundle, folder: Path) -> str:
    """Write a complete MLflow model into a new folder or nothing; returns its bundle's digest."""
    if folder.exists():
        raise InvalidInput(f"{folder} exists already: name a folder that does not")
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(mode=0o700, parents=True)
        digest = write_bundle(bundle, partial / BUNDLE_PATH)
        _write_texts(bundle.config, partial)
        _write_mlmodel(bundle.config, partial)
        partial.rename(folder)
        sync(folder.parent)
    except OSError as error:
        raise EnvironmentFailed(f"cannot write the model {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return digest


def requirements() -> list[str]:
    """The exact versions that a model answers with here."""
    return [f"{name}=={Version(version(name)).public}" for name in PINNED]


def model_signature(config: RunConfig) -> ModelSignature:
    """The shapes of a configuration's frames; the first axis counts scenes.

    Codes that all scenes share have length one there. The SNR is a parameter: it is optional.
    """
    sizes = Sizes.of(config)
    rows, antennas, elements = sizes.snapshots, sizes.antennas, sizes.elements
    shapes = {
        "y": (-1, rows, antennas),
        "channel": (-1, antennas, elements),
        "codes": (-1, rows, elements),
    }
    position = Object([Property(name, "double") for name in ("phi_deg", "theta_deg", "range_m")])
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("complex64"), shapes[name], name) for name in NEEDED]),
        outputs=Schema(
            [
                ColSpec("long", "count"),
                ColSpec(Array("double"), "count_probabilities"),
                ColSpec(Array(position), "sources"),
                ColSpec("double", "confidence"),
            ]
        ),
        params=ParamSchema([ParamSpec(OPTIONAL, "double", [], shape=(-1,))]),
    )


def _write_texts(config: RunConfig, folder: Path) -> None:
    """Write loader, example and environments. MLflow's own saving knows no complex example."""
    example = _example(config)
    python = platform.python_version()
    documents: dict[str, Any] = {
        "input_example.json": example,
        EXAMPLE: {"inputs": example},
        # Every JSON document is YAML.
        "python_env.yaml": {
            "python": python,
            "build_dependencies": ["pip"],
            "dependencies": ["-r requirements.txt"],
        },
        "conda.yaml": {
            "name": "risexp",
            "channels": ["conda-forge"],
            "dependencies": [f"python={python}", "pip", {"pip": requirements()}],
        },
    }
    texts = {name: json.dumps(document) for name, document in documents.items()}
    texts["entry.py"] = ENTRY
    texts["requirements.txt"] = "".join(f"{line}\n" for line in requirements())
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _write_mlmodel(config: RunConfig, folder: Path) -> None:
    model = Model(
        signature=model_signature(config),
        saved_input_example_info={
            "artifact_path": "input_example.json",
            "serving_input_path": EXAMPLE,
            "type": "ndarray",
        },
    )
    add_to_model(  # type: ignore[no-untyped-call] # MLflow's own
        model,
        loader_module=LOADER,
        model_code_path="entry.py",
        conda_env="conda.yaml",
        python_env="python_env.yaml",
        artifacts={ARTIFACT: {"path": BUNDLE_PATH, "uri": BUNDLE_PATH}},
    )
    model.save(folder / "MLmodel")


def _example(config: RunConfig) -> dict[str, Nested]:
    """The frames of one scene as a request writes them; complex numbers are strings like 1+2j."""
    generator = SceneGenerator(config.physics, config.data)
    frames = generator.scenes("validation", 0, 1).frames
    codes = frames.codes if frames.codes.ndim == 3 else frames.codes.unsqueeze(0)
    arrays = {"y": frames.y, "channel": frames.channel, "codes": codes}
    return {name: _strings(value.tolist()) for name, value in arrays.items()}


def _strings(value: complex | list[complex]) -> Nested:
    if isinstance(value, list):
        return [_strings(item) for item in value]
    return f"{value:.6g}"
