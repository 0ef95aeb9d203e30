"""A model that MLflow has loaded: what it answers, and what it refuses in which words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from risexp.errors import ModelRefused
from risexp.inference.estimate import Answer, answers
from risexp.registry.bundle import INSIDE, MODEL, WEIGHTS
from risexp.registry.pyfunc import PyFuncModel, load_model
from risexp.registry.pyfunc_model import RequestRefused
from risexp.registry.seal import MANIFEST
from tests.support.models import CPU, SCENES, Arrays, arrays, bundle, frames, model_in, request


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PyFuncModel:
    return load_model(str(model_in(tmp_path_factory.mktemp("models"))))


def said_by(model: PyFuncModel, asked: Arrays, snr_db: object = None) -> list[Answer]:
    said: Any = model.predict(asked, params=None if snr_db is None else {"snr_db": snr_db})
    return list(said)


def test_each_scene_is_answered_by_the_contract(model: PyFuncModel) -> None:
    said = said_by(model, request(), arrays()["snr_db"])

    assert answers(bundle().predictor(CPU)(frames())) == said


def test_an_snr_that_is_not_given_is_estimated(model: PyFuncModel) -> None:
    said = said_by(model, request())

    assert SCENES == len(said)
    assert said != said_by(model, request(), arrays()["snr_db"])


def test_codes_may_be_each_scene_s_own(model: PyFuncModel) -> None:
    own = np.repeat(request()["codes"], SCENES, axis=0)

    said = said_by(model, {**request(), "codes": own})

    assert [each["count"] for each in said_by(model, request())] == [each["count"] for each in said]


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("y", (6, 15, 8), r"\(6, 15, 8\) does not match expected shape \(-1, 16, 8\)"),
        ("y", (6, 16, 9), r"\(6, 16, 9\) does not match expected shape \(-1, 16, 8\)"),
        ("channel", (6, 8, 35), r"\(6, 8, 35\) does not match expected shape \(-1, 8, 36\)"),
        ("codes", (16, 36), r"\(16, 36\) does not match expected shape \(-1, 16, 36\)"),
        ("channel", (5, 8, 36), r"channel has shape \(5, 8, 36\) where \(6, 8, 36\) was expected"),
        ("codes", (2, 16, 36), r"codes has shape \(2, 16, 36\) where \(6, 16, 36\) was expected"),
    ],
)
def test_wrong_shapes_are_refused(
    model: PyFuncModel, name: str, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(MlflowException, match=said):
        model.predict({**request(), name: np.ones(shape, "c8")})


@pytest.mark.parametrize("name", ["y", "channel", "codes"])
def test_what_is_no_number_is_refused(model: PyFuncModel, name: str) -> None:
    spoiled = request()[name].copy()
    spoiled[0, 2, 3] = np.nan

    with pytest.raises(RequestRefused, match=f"{name}.* holds a value that is not a finite number"):
        model.predict({**request(), name: spoiled})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"snr_db": [1.0, 2.0]}, r"snr_db has shape \(2,\) where \(6,\) was expected"),
        ({"snr_db": [np.nan] * SCENES}, "snr_db of scene 0 holds a value that is not a finite"),
        ({"snr_db": ["ten"]}, "Invalid parameters"),
    ],
)
def test_snrs_that_are_none_are_refused(
    model: PyFuncModel, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(MlflowException, match=said):
        model.predict(request(), params=params)


def test_a_real_array_is_refused_where_a_complex_one_belongs(model: PyFuncModel) -> None:
    with pytest.raises(MlflowException, match="dtype of input float32 does not match"):
        model.predict({**request(), "y": request()["y"].real})


def test_over_http_a_refusal_is_one_sentence() -> None:
    refused = RequestRefused("y is missing")
    refused.message = "Failed to predict data '...'. y is missing"

    assert {"error_code": "INVALID_PARAMETER_VALUE", "message": "y is missing"} == json.loads(
        refused.serialize_as_json()
    )
    assert "INVALID_PARAMETER_VALUE" == refused.error_code


@pytest.mark.parametrize("name", [WEIGHTS, MODEL, MANIFEST])
def test_a_model_that_was_tampered_with_does_not_load(tmp_path: Path, name: str) -> None:
    folder = model_in(tmp_path)
    path = folder / INSIDE / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ModelRefused, match=name):
        load_model(str(folder))
