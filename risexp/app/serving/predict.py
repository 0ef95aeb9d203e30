"""Frames from a person's own file, answered by a network; the answers as JSON or as CSV."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from risexp.app.serving.resolve_model import trained
from risexp.config.training import Refinement
from risexp.core import durable
from risexp.data.arrays import Sizes
from risexp.data.frames_files import read_frames
from risexp.errors import DataInvalid, InvalidInput
from risexp.inference.estimate import Answer, answered
from risexp.inference.predictor import Predictor
from risexp.registry.bundle import Bundle


@dataclass(frozen=True)
class Predicted:
    """What a network says of the scenes in a file."""

    bundle: Bundle
    answers: list[Answer]
    """One for each scene, in the file's order."""
    notes: tuple[str, ...]
    """What else a person should know, in sentences."""


def predict(model: str, frames: Path, refine: Refinement | None, device: torch.device) -> Predicted:
    """Count and localise the sources of every scene in a file.

    Args:
        model: A run, a checkpoint or a model, as for `trained`.
        frames: A `.npz` or `.mat` file.
        refine: Whether positions are moved on to fit the measurements; None for what the network
            was judged with.
        device: Where to compute.

    Raises:
        RisexpError: There is no such model or file, or the frames are not of the model's shapes.
    """
    read = read_frames(frames)
    found = trained(model, device)
    try:
        sound = Sizes.of(found.config).expect(read.frames)
    except DataInvalid as error:
        raise DataInvalid(f"{frames}: {error}") from None
    predictor = _refined(found.predictor, refine)
    told = answered(predictor, sound.to(device))
    notes = found.damaged
    if read.unused:
        notes += (f"{frames} also holds {', '.join(read.unused)}, which is not used",)
    return Predicted(found.bundle, told, notes)


def expect_new(out: Path) -> None:
    """Check that answers can be written to a path, before anything is computed.

    Raises:
        InvalidInput: Something stands there, or its name says no format.
    """
    if out.suffix.lower() not in _FORMATS:
        raise InvalidInput(f"{out} names no format: end it in .json or .csv")
    durable.expect_new(out)


def write_answers(predicted: Predicted, out: Path) -> None:
    """Write the answers to a new file, as its name says: JSON, or CSV with a row for each source.

    Raises:
        InvalidInput: Something stands there, or its name says no format.
        EnvironmentFailed: The disk is full or forbidden; nothing is left of it.
    """
    expect_new(out)
    durable.write_new(out, _FORMATS[out.suffix.lower()](predicted).encode())


def document(predicted: Predicted) -> dict[str, Any]:
    """The answers as plain values, under the name that a served model gives them too."""
    bundle = predicted.bundle
    return {
        "run": bundle.run_id,
        "epoch": bundle.epoch,
        "network_sha": bundle.config_sha,
        "predictions": predicted.answers,
    }


def rows(answer: Answer) -> list[list[object]]:
    """A row for each source of a scene, and one for a scene without any.

    A row has the count, its confidence, the source's number from 1 and its position.
    """
    known = [answer["count"], answer["confidence"]]
    if not answer["sources"]:
        return [[*known, "", "", "", ""]]
    return [[*known, place, *each.values()] for place, each in enumerate(answer["sources"], 1)]


HEADINGS: Final = ("scene", "count", "confidence", "source", "phi_deg", "theta_deg", "range_m")
"""Of the rows, after the scene's place in the file, counted from 0."""


def _refined(predictor: Predictor, refine: Refinement | None) -> Predictor:
    if refine == "measurement":
        # As in the row `network+measurement` of an evaluation.
        return predictor.changed(spectrum="pointers", refine=refine)
    return predictor.changed(refine=refine)


def _as_json(predicted: Predicted) -> str:
    return f"{json.dumps(document(predicted), indent=2, allow_nan=False)}\n"


def _as_csv(predicted: Predicted) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    most = len(predicted.answers[0]["count_probabilities"])
    writer.writerow([*HEADINGS, *(f"p_{count}" for count in range(1, most + 1))])
    for scene, answer in enumerate(predicted.answers):
        for row in rows(answer):
            writer.writerow([scene, *row, *answer["count_probabilities"]])
    return text.getvalue()


_FORMATS: Final[Mapping[str, Callable[[Predicted], str]]] = {".json": _as_json, ".csv": _as_csv}
