"""The model that MLflow loads and serves: complex frames in, an answer to each scene out."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from numpy.typing import NDArray

from risexp.data.arrays import OPTIONAL, Sizes, frames_of
from risexp.errors import DataInvalid
from risexp.inference.estimate import Answer, answered
from risexp.inference.predictor import Predictor
from risexp.registry.sealed_model import ARTIFACT, read_bundle

with warnings.catch_warnings():
    # MLflow warns about its own code when it is imported.
    warnings.simplefilter("ignore")
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import PyFuncModel, add_to_model, load_model
    from mlflow.pyfunc.loaders import code_model
    from mlflow.pyfunc.model import PythonModel, PythonModelContext
    from mlflow.pyfunc.scoring_server import init as scoring_app

LOADER = code_model.__name__
"""The module by which MLflow loads a model that is code."""

__all__ = [
    "LOADER",
    "Model",
    "ModelSignature",
    "PredictHandler",
    "PyFuncModel",
    "RequestRefused",
    "Served",
    "add_to_model",
    "load_model",
    "scoring_app",
]


class RequestRefused(MlflowException):
    """Frames that cannot be answered; over HTTP it is a 400 with this one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, error_code=INVALID_PARAMETER_VALUE)
        self.sentence = sentence

    def serialize_as_json(self) -> str:
        """The body of the response, without the data that MLflow would repeat in it."""
        return json.dumps({"error_code": self.error_code, "message": self.sentence})


class PredictHandler:
    """Answers requests, as MLflow asks a Python model to.

    It stands apart from `Served` because MLflow rewrites a `predict` that its own subclass defines,
    and knows no type for complex arrays by name.
    """

    _predictor: Predictor
    _sizes: Sizes

    def load_context(self, context: PythonModelContext) -> None:
        """Open the bundle, on the CPU."""
        bundle = read_bundle(Path(context.artifacts[ARTIFACT]))
        self._predictor = bundle.predictor(torch.device("cpu"))
        self._sizes = Sizes.of(bundle.config)

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow passes the arguments by position
        model_input: Mapping[str, NDArray[Any]],
        params: Mapping[str, Any] | None = None,
    ) -> list[Answer]:
        """Count and localise the sources of each scene.

        Args:
            context: MLflow's own record of the model.
            model_input: y (B, L, M), channel (B, M, N) and codes (B or 1, L, N), complex.
            params: `snr_db` with B numbers, or nothing: then it is estimated.
        """
        return self.answer(model_input, params)

    def answer(self, inputs: object, params: object) -> list[Answer]:
        """Answer each scene of a request that was not checked yet."""
        try:
            frames = self._sizes.expect(frames_of(_arrays(inputs, params or {})))
            return answered(self._predictor, frames)
        except DataInvalid as error:
            raise RequestRefused(str(error)) from None


class Served(PredictHandler, PythonModel):
    """A sealed network, as MLflow loads it."""


def _arrays(inputs: object, params: object) -> dict[str, NDArray[Any]]:
    if not isinstance(inputs, Mapping):
        raise RequestRefused('frames come as {"inputs": {"y": ..., "channel": ..., "codes": ...}}')
    if not isinstance(params, Mapping):
        raise RequestRefused(f'the parameters come as {{"params": {{"{OPTIONAL}": [...]}}}}')
    if other := params.keys() - {OPTIONAL}:
        raise RequestRefused(f"there is no parameter {min(other)!r}: {OPTIONAL} is the only one")
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    snr_db = np.asarray(params.get(OPTIONAL, ()))
    return arrays | {OPTIONAL: snr_db} if snr_db.size else arrays
