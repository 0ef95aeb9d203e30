"""`risexp predict`: a network's answers to the frames in a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, ModelName, RefineName, computing, shared
from risexp.cli.output import emit, note, say, table

if TYPE_CHECKING:
    import torch

    from risexp.app.serving.predict import Predicted

_SHOWN = 20
"""Scenes whose answers a terminal shows."""

FramesFile = Annotated[
    Path,
    typer.Argument(
        metavar="FRAMES",
        help="A .npz or .mat file with y (B, L, M), channel (B, M, N), codes (L, N) or (B, L, N), "
        "all complex, and optionally snr_db (B).",
    ),
]
AnswersTo = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="A new file, .json or .csv, for the answers."),
]


Refine = Annotated[
    RefineName | None,
    typer.Option(
        help="measurement: refine positions to fit the measurements; by default as the network "
        "was validated."
    ),
]


@shared(computing)
def predict(
    device: "torch.device",
    model: ModelName,
    frames: FramesFile,
    out: AnswersTo = None,
    refine: Refine = None,
    json: AsJson = False,
) -> None:
    """Count and localise the sources of every scene in a file."""
    from risexp.app.serving.predict import expect_new, write_answers
    from risexp.app.serving.predict import predict as answer

    if out is not None:
        expect_new(out)
    result = answer(model, frames, None if refine is None else refine.value, device)
    for sentence in result.notes:
        note(sentence)
    if out is not None:
        write_answers(result, out)
        note(f"answers to {len(result.answers)} scenes are in {out}")
    if json:
        emit(result.as_json())
    elif out is None:
        _say(result)


def _say(result: "Predicted") -> None:
    from risexp.app.serving.predict import HEADINGS, rows

    say(f"run {result.bundle.run_id}, epoch {result.bundle.epoch}")
    shown = [
        [scene, *(f"{value:.4g}" if isinstance(value, float) else value for value in row)]
        for scene, answer in enumerate(result.answers[:_SHOWN])
        for row in rows(answer)
    ]
    table(HEADINGS, shown)
    if len(result.answers) > _SHOWN:
        note(f"{len(result.answers) - _SHOWN} more scenes: --out FILE writes all of them")
