"""A model that MLflow has loaded: its answers, and the requests that it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from risexp.errors import ModelRefused
from risexp.inference.estimate import Answer, answers
from risexp.registry.pyfunc_model import PyFuncModel, load_model
from risexp.registry.sealed_model import BUNDLE_PATH, WEIGHTS
from tests.support.models import CPU, SCENES, Arrays, arrays, bundle, frames, model_in, request


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PyFuncModel:
    return load_model(str(model_in(tmp_path_factory.mktemp("models"))))


def answered(model: PyFuncModel, inputs: Arrays, snr_db: object = None) -> list[Answer]:
    found: Any = model.predict(inputs, params=None if snr_db is None else {"snr_db": snr_db})
    return list(found)


def test_each_scene_is_answered_as_the_predictor_answers(model: PyFuncModel) -> None:
    assert answers(bundle().predictor(CPU)(frames())) == answered(
        model, request(), arrays()["snr_db"]
    )


def test_an_absent_snr_is_estimated_and_each_scene_may_have_its_own_codes(
    model: PyFuncModel,
) -> None:
    own = np.repeat(request()["codes"], SCENES, axis=0)
    estimated = answered(model, request())

    counts = [answer["count"] for answer in answered(model, {**request(), "codes": own})]

    assert estimated != answered(model, request(), arrays()["snr_db"])
    assert [answer["count"] for answer in estimated] == counts


def test_wrong_shapes_types_and_values_are_refused(model: PyFuncModel) -> None:
    spoiled = request()["channel"].copy()
    spoiled[0, 2, 3] = np.nan
    ones = {shape: np.ones(shape, "c8") for shape in ((6, 15, 8), (5, 8, 36))}
    cases: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
        "(6, 15, 8) does not match expected shape (-1, 16, 8)": ({"y": ones[6, 15, 8]}, None),
        "channel has shape (5, 8, 36) where (6, 8, 36)": ({"channel": ones[5, 8, 36]}, None),
        "dtype of input float32 does not match": ({"y": request()["y"].real}, None),
        "holds a value that is not a finite number": ({"channel": spoiled}, None),
        "snr_db has shape (2,) where (6,) was expected": ({}, {"snr_db": [1.0, 2.0]}),
        "Invalid parameters": ({}, {"snr_db": ["ten"]}),
    }

    for expected, (inputs, params) in cases.items():
        with pytest.raises(MlflowException) as caught:
            model.predict({**request(), **inputs}, params=params)
        assert expected in str(caught.value)


def test_a_model_that_was_changed_does_not_load(tmp_path: Path) -> None:
    folder = model_in(tmp_path)
    path = folder / BUNDLE_PATH / WEIGHTS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ModelRefused, match=WEIGHTS):
        load_model(str(folder))
