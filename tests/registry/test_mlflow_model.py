"""A model as MLflow keeps it: complete, without a pickle, and the same answers everywhere."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from risexp.app.benchmark.methods import NETWORK, network_methods
from risexp.app.deploy.wheel import write_wheel
from risexp.app.serving.resolve_model import load_trained, resolve_bundle
from risexp.data.frames import Scenes
from risexp.errors import InvalidInput
from risexp.inference.estimate import answers
from risexp.registry.mlflow_model import EXAMPLE, PINNED, requirements, save_model
from risexp.registry.pyfunc_model import load_model
from risexp.registry.sealed_model import BUNDLE_PATH
from tests.support.frozen_sets import contents
from tests.support.localisation import scenes_of
from tests.support.models import CPU, SCENES, arrays, bundle, model_config, model_in, request

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[3])
import mlflow, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
with np.load(sys.argv[2]) as given:
    frames = {name: given[name] for name in ("y", "channel", "codes")}
    said = model.predict(frames, params={"snr_db": given["snr_db"]})
import risexp
print(json.dumps([risexp.__file__, said]))
"""
"""The program of a person who has a model and an installation."""
OLD_ENTRY = '''"""Copied into each model's folder; MLflow runs it to load the model."""

from mlflow.models import set_model

from risexp.registry.served import Served

set_model(Served())
'''
"""The loader in the folders of earlier versions."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_in(tmp_path_factory.mktemp("models"))


def scenes() -> Scenes:
    return scenes_of(model_config(), SCENES)


def numbers(value: object) -> list[float]:
    """Every number of an answer, in the order of its keys."""
    if isinstance(value, dict):
        return [number for _, item in sorted(value.items()) for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    assert isinstance(value, int | float)
    return [float(value)]


def as_evaluated(place: Path) -> list[float]:
    """The answers in the network's row of an evaluation."""
    method = network_methods(load_trained(str(place), CPU).predictor)[NETWORK]
    return numbers(answers(method(scenes())))


def test_a_model_of_an_earlier_version_answers_as_evaluated(tmp_path: Path) -> None:
    old = model_in(tmp_path)
    (old / "entry.py").write_text(OLD_ENTRY, encoding="utf-8")

    snr_db = arrays()["snr_db"]
    answered: Any = load_model(str(old)).predict(request(), params={"snr_db": snr_db})

    assert as_evaluated(old) == pytest.approx(numbers(answered), abs=1e-5)


@pytest.mark.slow
def test_an_installed_wheel_answers_as_the_evaluation_does(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    write_wheel(tmp_path)
    (wheel,) = tmp_path.glob("risexp-*.whl")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(  # noqa: S603 - our own interpreter and files
        [*pip, "install", "--no-deps", "--no-index", "--target", str(place), str(wheel)],
        check=True,
        capture_output=True,
    )

    np.savez(tmp_path / "asked.npz", **arrays())  # type: ignore[arg-type]
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-I", "-c", PROGRAM, str(model), str(tmp_path / "asked.npz"), str(place)],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    where, answered = json.loads(done.stdout.splitlines()[-1])

    assert str(place / "risexp" / "__init__.py") == where
    assert as_evaluated(model) == pytest.approx(numbers(answered), abs=1e-5)


def test_no_file_is_a_pickle_or_names_where_it_was_written(tmp_path: Path) -> None:
    save_model(bundle(), tmp_path / "model")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # The first bytes of a pickle, of a zip archive as torch writes them, of gzip and of HDF5.
    packed = (b"\x80", b"PK", b"\x1f\x8b", b"\x89HDF")
    forbidden = [b"pickle", str(ROOT).encode(), str(tmp_path).encode()]

    assert {".py", ".json", ".txt", ".yaml", ".safetensors", ""} == {path.suffix for path in files}
    assert [] == [path for path, content in files.items() if content.startswith(packed)]
    assert [] == [
        path for path, content in files.items() if any(word in content for word in forbidden)
    ]


def test_the_signature_is_that_of_the_panel_and_the_example_is_answered(model: Path) -> None:
    loaded = load_model(str(model))
    example = json.loads((model / EXAMPLE).read_text(encoding="utf-8"))

    answered: Any = loaded.predict(loaded.input_example)

    signature = loaded.metadata.signature
    assert {"y": (-1, 16, 8), "channel": (-1, 8, 36), "codes": (-1, 16, 36)} == {
        spec.name: spec.shape for spec in signature.inputs.inputs
    }
    assert {np.dtype("complex64")} == {spec.type for spec in signature.inputs.inputs}
    assert ["snr_db"] == [spec.name for spec in signature.params.params]
    assert {"y", "channel", "codes"} == example["inputs"].keys()
    assert re.fullmatch(r"[-+.e0-9]+[-+][.e0-9-]+j", example["inputs"]["y"][0][0][0])
    assert {"count", "count_probabilities", "sources", "confidence"} == answered[0].keys()


def test_requirements_are_exact_and_name_no_index(model: Path) -> None:
    lines = (model / "requirements.txt").read_text(encoding="utf-8").splitlines()

    assert requirements() == lines
    assert list(PINNED) == [line.partition("==")[0] for line in lines]
    assert f"torch=={version('torch').partition('+')[0]}" in lines
    for name in ("requirements.txt", "conda.yaml", "python_env.yaml", "MLmodel"):
        text = (model / name).read_text(encoding="utf-8")
        assert (False, False) == ("://" in text, "index" in text)


def test_a_model_is_written_into_a_new_folder_as_a_whole_or_not_at_all(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(model)
    with pytest.raises(InvalidInput, match="exists already"):
        save_model(bundle(), model)
    assert before == contents(model)

    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("risexp.registry.mlflow_model.model_signature", fails)
    with pytest.raises(RuntimeError):
        save_model(bundle(), tmp_path / "model")
    assert [] == list(tmp_path.iterdir())


def test_a_model_is_named_by_its_folder_or_by_its_bundle(model: Path) -> None:
    for place in (model, model / BUNDLE_PATH):
        resolved = resolve_bundle(str(place))
        assert ("run-1", 3, ()) == (
            resolved.bundle.run_id,
            resolved.bundle.epoch,
            resolved.damaged,
        )
