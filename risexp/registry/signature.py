"""What a served model is given and what it answers, in MLflow's words, and an example of both."""

from typing import Final

import numpy as np
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, ColSpec, Object, Property

from risexp.config.run import RunConfig
from risexp.data.arrays import NEEDED, OPTIONAL, Sizes
from risexp.data.scenes import SceneGenerator
from risexp.registry.pyfunc import ModelSignature

Nested = str | list["Nested"]
_COMPLEX: Final = np.dtype("complex64")


def signature_of(config: RunConfig) -> ModelSignature:
    """The shapes of a configuration's frames; the first axis counts scenes.

    Codes that all scenes share have one there. The SNR is a parameter, for it may be left out.
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
        inputs=Schema([TensorSpec(_COMPLEX, shapes[name], name) for name in NEEDED]),
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


def example_of(config: RunConfig) -> dict[str, Nested]:
    """The frames of one scene as a request writes them; complex numbers are strings like 1+2j."""
    generator = SceneGenerator(config.physics, config.data)
    frames = generator.scenes("validation", 0, 1).frames
    codes = frames.codes if frames.codes.ndim == 3 else frames.codes.unsqueeze(0)
    arrays = {"y": frames.y, "channel": frames.channel, "codes": codes}
    return {name: _written(value.tolist()) for name, value in arrays.items()}


def _written(value: complex | list[complex]) -> Nested:
    if isinstance(value, list):
        return [_written(each) for each in value]
    return f"{value:.6g}"
