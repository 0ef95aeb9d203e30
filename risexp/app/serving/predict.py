"""Answers the scenes of a file with a network; writes the answers as JSON or CSV."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from risexp.app.serving.resolve_model import load_trained
from risexp.config.training import Refinement
from risexp.core import durable
from risexp.data.arrays import Sizes
from risexp.data.frames_files import read_frames
from risexp.errors import DataInvalid, InvalidInput
from risexp.inference.estimate import Answer, answered
from risexp.registry.sealed_model import Bundle

HEADINGS: Final = ("scene", "count", "confidence", "source", "phi_deg", "theta_deg", "range_m")
"""Headings of the rows; scenes are counted from 0 in the order of the file."""


@dataclass(frozen=True)
class Predicted:
    """A network's answers to the scenes of a file."""

    bundle: Bundle
    answers: list[Answer]
    """One for each scene, in the file's order."""
    notes: tuple[str, ...]
    """Remarks for the user, in sentences."""

    def as_json(self) -> dict[str, Any]:
        """The answers as plain values; a served model names them `predictions` too."""
        return {
            "run": self.bundle.run_id,
            "epoch": self.bundle.epoch,
            "network_sha": self.bundle.config_sha,
            "predictions": self.answers,
        }


def predict(model: str, frames: Path, refine: Refinement | None, device: torch.device) -> Predicted:
    """Count and localise the sources of every scene in a file.

    `refine` None refines positions as the network was validated.
    """
    file = read_frames(frames)
    trained = load_trained(model, device)
    try:
        checked = Sizes.of(trained.config).expect(file.frames)
    except DataInvalid as error:
        raise DataInvalid(f"{frames}: {error}") from None
    # As in the row `network+measurement` of an evaluation.
    predictor = trained.predictor.changed(
        spectrum="pointers" if refine == "measurement" else None, refine=refine
    )
    notes = trained.damaged
    if file.unused:
        notes += (f"{frames} also holds {', '.join(file.unused)}, which is not used",)
    return Predicted(trained.bundle, answered(predictor, checked.to(device)), notes)


def expect_new(out: Path) -> None:
    """Check that answers can be written to a path, before anything is computed."""
    if out.suffix.lower() not in _FORMATS:
        raise InvalidInput(f"{out} names no format: end it in .json or .csv")
    durable.expect_new(out)


def write_answers(predicted: Predicted, out: Path) -> None:
    """Write the answers to a new file: JSON, or CSV with a row for each source."""
    expect_new(out)
    durable.write_new(out, _FORMATS[out.suffix.lower()](predicted).encode())


def rows(answer: Answer) -> list[list[object]]:
    """Count, confidence, number (from 1) and position of each source; one row if there is none."""
    count = [answer["count"], answer["confidence"]]
    if not answer["sources"]:
        return [[*count, "", "", "", ""]]
    return [
        [*count, number, *position.values()] for number, position in enumerate(answer["sources"], 1)
    ]


def _csv_text(predicted: Predicted) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    most = len(predicted.answers[0]["count_probabilities"])
    writer.writerow([*HEADINGS, *(f"p_{count}" for count in range(1, most + 1))])
    for scene, answer in enumerate(predicted.answers):
        for row in rows(answer):
            writer.writerow([scene, *row, *answer["count_probabilities"]])
    return text.getvalue()


_FORMATS: Final[Mapping[str, Callable[[Predicted], str]]] = {
    ".json": lambda answers: f"{json.dumps(answers.as_json(), indent=2, allow_nan=False)}\n",
    ".csv": _csv_text,
}
