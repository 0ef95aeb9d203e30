"""The folder that MLflow calls a model: what it is given, how it is loaded, and the bundle."""

import json
import os
import platform
import secrets
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from packaging.version import Version

from risexp.core.durable import sync
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.registry.bundle import INSIDE, NAME, Bundle, write_bundle
from risexp.tracking.stores import SETTINGS

os.environ.update(SETTINGS)

from risexp.registry.pyfunc import LOADER, Model, add_to_model
from risexp.registry.signature import example_of, signature_of

PINNED: Final = ("risexp", "mlflow", "numpy", "pydantic", "safetensors", "torch")
"""What a model is loaded with; risexp brings the rest."""
EXAMPLE: Final = "serving_input_example.json"
"""A request that the model answers."""


def save_model(bundle: Bundle, folder: Path) -> str:
    """Write a complete model for MLflow into a new folder, which is there as a whole or not at all.

    Returns:
        The digest of the bundle in it.

    Raises:
        InvalidInput: Something stands there already.
        EnvironmentFailed: The disk is full or forbidden.
    """
    if folder.exists():
        raise InvalidInput(f"{folder} exists already: name a folder that does not")
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(mode=0o700, parents=True)
        digest = write_bundle(bundle, partial / INSIDE)
        _write_model(bundle, partial)
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


def _write_model(bundle: Bundle, folder: Path) -> None:
    """All that is not the bundle. MLflow's own saving knows no complex example."""
    shutil.copyfile(Path(__file__).with_name("model_code.py"), folder / "entry.py")
    example = example_of(bundle.config)
    _write(folder / "input_example.json", json.dumps(example))
    _write(folder / EXAMPLE, json.dumps({"inputs": example}))
    _write(folder / "requirements.txt", "".join(f"{each}\n" for each in requirements()))
    for name, document in _environments().items():
        _write(folder / name, json.dumps(document, indent=1))  # every JSON document is YAML
    model = Model(
        signature=signature_of(bundle.config),
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
        artifacts={NAME: {"path": INSIDE, "uri": INSIDE}},
    )
    model.save(folder / "MLmodel")


def _environments() -> dict[str, dict[str, Any]]:
    """How MLflow makes an environment for the model, by the names of its files."""
    python = platform.python_version()
    return {
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


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
