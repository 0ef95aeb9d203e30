"""The model that MLflow loads and serves: complex frames in, an answer to each scene out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
from risexp.registry.bundle import NAME, read_bundle
from risexp.registry.pyfunc import PythonModel, PythonModelContext


class RequestRefused(MlflowException):
    """Frames that cannot be answered; over HTTP it is a 400 with this one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, error_code=INVALID_PARAMETER_VALUE)
        self.sentence = sentence

    def serialize_as_json(self) -> str:
        """The body of the response, without the data that MLflow would repeat in it."""
        return json.dumps({"error_code": self.error_code, "message": self.sentence})


@dataclass(frozen=True)
class _Ready:
    """A bundle that was loaded."""

    predictor: Predictor
    sizes: Sizes


class PredictHandler:
    """What MLflow asks of a model.

    It stands apart because MLflow rewrites a `predict` that its own subclass defines, and knows no
    type for complex arrays by name.
    """

    _ready: _Ready

    def load_context(self, context: PythonModelContext) -> None:
        """Open the bundle, on the CPU whatever trained it.

        Raises:
            ModelRefused: A file is missing or was changed.
        """
        bundle = read_bundle(Path(context.artifacts[NAME]))
        self._ready = _Ready(bundle.predictor(torch.device("cpu")), Sizes.of(bundle.config))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow finds the arguments by their places
        model_input: Mapping[str, NDArray[Any]],
        params: Mapping[str, Any] | None = None,
    ) -> list[Answer]:
        """Count and localise the sources of each scene.

        Args:
            context: What MLflow keeps of the model.
            model_input: y (B, L, M), channel (B, M, N) and codes (B or 1, L, N), complex.
            params: `snr_db` with B numbers, or nothing where it has to be estimated.

        Raises:
            Refused: A shape is wrong, or a value is not finite.
        """
        return self.answered(model_input, params)

    def answered(self, given: object, params: object) -> list[Answer]:
        """The answer to each scene of a request, whatever it may hold.

        Raises:
            Refused: It cannot be answered.
        """
        try:
            frames = self._ready.sizes.expect(frames_of(_arrays(given, params or {})))
            return answered(self._ready.predictor, frames)
        except DataInvalid as error:
            raise RequestRefused(str(error)) from None


class Served(PredictHandler, PythonModel):
    """A shipped network, as MLflow loads it."""


def _arrays(given: object, params: object) -> dict[str, NDArray[Any]]:
    """The fields of the frames in a request."""
    if not isinstance(given, Mapping):
        raise RequestRefused('frames come as {"inputs": {"y": ..., "channel": ..., "codes": ...}}')
    if not isinstance(params, Mapping):
        raise RequestRefused(f'the parameters come as {{"params": {{"{OPTIONAL}": [...]}}}}')
    if other := params.keys() - {OPTIONAL}:
        raise RequestRefused(f"there is no parameter {min(other)!r}: {OPTIONAL} is the only one")
    arrays = {name: np.asarray(value) for name, value in given.items()}
    snr_db = np.asarray(params.get(OPTIONAL, ()))
    return arrays | {OPTIONAL: snr_db} if snr_db.size else arrays
