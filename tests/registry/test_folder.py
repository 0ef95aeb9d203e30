"""A model as MLflow keeps it: complete, without a pickle, and the same answers everywhere."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from risexp.app.benchmark.methods import NETWORK, network_methods
from risexp.app.serving.resolve_model import bundle_named, trained
from risexp.data.frames import Scenes
from risexp.errors import InvalidInput
from risexp.inference.estimate import answers
from risexp.registry.bundle import INSIDE, read_bundle
from risexp.registry.folder import EXAMPLE, PINNED, requirements, save_model
from risexp.registry.pyfunc import load_model
from tests.support.localisation import scenes_of
from tests.support.models import SCENES, bundle, model_config, model_in, request

CPU = torch.device("cpu")
PROGRAM = """
import json, sys
import mlflow, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
with np.load(sys.argv[2]) as given:
    frames = {name: given[name] for name in ("y", "channel", "codes")}
    said = model.predict(frames, params={"snr_db": given["snr_db"]})
import risexp
print(json.dumps([risexp.__file__, said]))
"""
"""What a person runs who has a model and an installation."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_in(tmp_path_factory.mktemp("models"))


def scenes() -> Scenes:
    return scenes_of(model_config(), SCENES)


def numbers(said: object) -> list[float]:
    """Every number of an answer, in the order of its words."""
    if isinstance(said, dict):
        return [value for _, each in sorted(said.items()) for value in numbers(each)]
    if isinstance(said, list):
        return [value for each in said for value in numbers(each)]
    assert isinstance(said, int | float)
    return [float(said)]


def as_evaluated(place: Path) -> list[float]:
    """What the row of the network in an evaluation answers."""
    method = network_methods(trained(str(place), CPU).predictor)[NETWORK]
    return numbers(answers(method(scenes())))


def told_in_a_fresh_process(
    model: Path, folder: Path, *flags: str, path: str | None
) -> list[object]:
    """Where a process that knows no tests has found risexp, and what the model said to it."""
    snr_db = scenes().frames.snr_db
    assert snr_db is not None
    np.savez(folder / "asked.npz", snr_db=snr_db.numpy(), **request())  # type: ignore[arg-type]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RISEXP", "PYTHON"))
    }
    environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    setting = "" if path is None else f"import sys; sys.path.insert(0, {path!r})\n"
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, *flags, "-c", setting + PROGRAM, str(model), str(folder / "asked.npz")],
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    found: list[object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_fresh_process_answers_as_the_evaluation_does(model: Path, tmp_path: Path) -> None:
    _, said = told_in_a_fresh_process(model, tmp_path, path=None)

    assert as_evaluated(model) == pytest.approx(numbers(said), abs=1e-5)


@pytest.mark.slow
def test_an_installed_wheel_answers_as_the_evaluation_does(model: Path, tmp_path: Path) -> None:
    root, place = Path(__file__).parents[2], tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(  # noqa: S603 - our own interpreter and files
        [*pip, "wheel", "--no-deps", "-w", str(tmp_path), str(root)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("risexp-*.whl")
    subprocess.run(  # noqa: S603 - our own interpreter and files
        [*pip, "install", "--no-deps", "--no-index", "--target", str(place), str(wheel)],
        check=True,
        capture_output=True,
    )

    where, said = told_in_a_fresh_process(model, tmp_path, "-I", path=str(place))

    assert str(place / "risexp" / "__init__.py") == where
    assert as_evaluated(model) == pytest.approx(numbers(said), abs=1e-5)


def test_the_example_is_a_request_that_the_model_answers(model: Path) -> None:
    loaded = load_model(str(model))
    asked = json.loads((model / EXAMPLE).read_text(encoding="utf-8"))

    said: Any = loaded.predict(loaded.input_example)

    assert {"y", "channel", "codes"} == asked["inputs"].keys()
    assert re.fullmatch(r"[-+.e0-9]+[-+][.e0-9-]+j", asked["inputs"]["y"][0][0][0])
    assert 1 == len(said)
    assert {"count", "count_probabilities", "sources", "confidence"} == said[0].keys()


def test_no_file_of_a_model_is_a_pickle(tmp_path: Path) -> None:
    files = [path for path in model_in(tmp_path).rglob("*") if path.is_file()]

    assert {".py", ".json", ".txt", ".yaml", ".safetensors", ""} == {path.suffix for path in files}
    for path in files:
        content = path.read_bytes()
        # The beginnings of a pickle, of a zip archive as torch writes them, of gzip and of HDF5.
        assert not content.startswith((b"\x80", b"PK", b"\x1f\x8b", b"\x89HDF")), path
        assert b"pickle" not in content, path


def test_the_signature_is_complex_and_of_the_panel(model: Path) -> None:
    signature = load_model(str(model)).metadata.signature

    assert {"y": (-1, 16, 8), "channel": (-1, 8, 36), "codes": (-1, 16, 36)} == {
        each.name: each.shape for each in signature.inputs.inputs
    }
    assert {np.dtype("complex64")} == {each.type for each in signature.inputs.inputs}
    assert ["snr_db"] == [each.name for each in signature.params.params]


def test_requirements_are_exact_and_name_no_place(model: Path) -> None:
    lines = (model / "requirements.txt").read_text(encoding="utf-8").splitlines()

    assert requirements() == lines
    assert list(PINNED) == [line.partition("==")[0] for line in lines]
    assert f"torch=={version('torch').partition('+')[0]}" in lines
    for name in ("requirements.txt", "conda.yaml", "python_env.yaml", "MLmodel"):
        text = (model / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert "index" not in text
        assert str(Path.home()) not in text
        assert str(model.parent) not in text


def test_a_model_keeps_no_word_of_where_it_was_made(model: Path) -> None:
    root = str(Path(__file__).parents[2]).encode()

    for path in model.rglob("*"):
        assert path.is_dir() or root not in path.read_bytes(), path


def test_a_folder_that_is_there_is_never_written_over(model: Path) -> None:
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}

    with pytest.raises(InvalidInput, match="exists already"):
        save_model(bundle(), model)
    assert before == {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}


def test_a_model_that_could_not_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("risexp.registry.folder.signature_of", fails)

    with pytest.raises(RuntimeError):
        save_model(bundle(), tmp_path / "model")
    assert [] == list(tmp_path.iterdir())


def test_the_digest_of_a_model_is_that_of_its_bundle(tmp_path: Path) -> None:
    one = save_model(bundle(), tmp_path / "one")
    other = save_model(replace(bundle(), temperature=None), tmp_path / "other")

    assert one == save_model(read_bundle(tmp_path / "one" / INSIDE), tmp_path / "again")
    assert one != other


def test_a_model_is_named_by_its_folder_or_by_its_bundle(model: Path) -> None:
    for place in (model, model / INSIDE):
        found = bundle_named(str(place))
        assert ("run-1", 3, ()) == (found.bundle.run_id, found.bundle.epoch, found.damaged)
