"""`risexp predict`: a network's answers to frames from a person's own file."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, Device, ModelName, Threads
from risexp.cli.output import emit, note, say, table

if TYPE_CHECKING:
    from risexp.app.serving.predict import Predicted

_SHOWN = 20
"""Scenes of which a terminal shows the answer."""

FramesFile = Annotated[
    Path,
    typer.Argument(
        metavar="FRAMES",
        help="A .npz or .mat file with y (B, L, M), channel (B, M, N), codes (L, N) or (B, L, N), "
        "all complex, and where it is known snr_db (B).",
    ),
]
AnswersTo = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="A new file, .json or .csv, for the answers."),
]


class RefineTo(StrEnum):
    """Where positions come from."""

    none = "none"
    measurement = "measurement"


Refine = Annotated[
    RefineTo | None,
    typer.Option(
        help="measurement: move positions on to fit the measurements; by default as the network "
        "was judged."
    ),
]


def predict(
    model: ModelName,
    frames: FramesFile,
    out: AnswersTo = None,
    refine: Refine = None,
    device: Device = "auto",
    threads: Threads = 1,
    json: AsJson = False,
) -> None:
    """Count and localise the sources of every scene in a file."""
    import torch

    from risexp.app.run.devices import device_named
    from risexp.app.serving.predict import document, expect_new, write_answers
    from risexp.app.serving.predict import predict as answered

    torch.set_num_threads(threads)
    if out is not None:
        expect_new(out)
    found = answered(model, frames, None if refine is None else refine.value, device_named(device))
    for sentence in found.notes:
        note(sentence)
    if out is not None:
        write_answers(found, out)
        note(f"answers to {len(found.answers)} scenes are in {out}")
    if json:
        emit(document(found))
    elif out is None:
        _tell(found)


def _tell(found: "Predicted") -> None:
    from risexp.app.serving.predict import HEADINGS, rows

    say(f"run {found.bundle.run_id}, epoch {found.bundle.epoch}")
    shown = [
        [scene, *(f"{each:.4g}" if isinstance(each, float) else each for each in row)]
        for scene, answer in enumerate(found.answers[:_SHOWN])
        for row in rows(answer)
    ]
    table(HEADINGS, shown)
    if len(found.answers) > _SHOWN:
        note(f"{len(found.answers) - _SHOWN} more scenes: --out FILE writes all of them")
