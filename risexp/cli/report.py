"""`risexp report`: a study as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from risexp.cli.options import AsJson, Device, Threads
from risexp.cli.output import answer, note, progress, say
from risexp.errors import InvalidInput

StudyOption = Annotated[str, typer.Option(metavar="STUDY", help="Finished or not.")]
NewPage = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="A new file, FILE.html.")
]
Scenes = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Fresh test scenes at each SNR that the best network and NOMP answer; 0: none.",
    ),
]


def report(
    study: StudyOption,
    out: NewPage,
    scenes: Scenes = 200,
    device: Device = "auto",
    threads: Threads = 1,
    json: AsJson = False,
) -> None:
    """Write a study as one HTML file that loads nothing: figures, tables and provenance.

    It shows what was searched and how it ended, which fields mattered, what pruning saved and cost,
    and the best trial beside chance, NOMP and the reference.
    """
    if out.suffix != ".html":
        raise InvalidInput(f"--out {out}: a report is a file that ends in .html")
    from risexp.core.durable import expect_new, write_new

    expect_new(out)
    from risexp.app.report.gather import SNR_DB, report_data, with_answers
    from risexp.app.report.page import report_page
    from risexp.app.run.machine import device_named

    where, data = device_named(device), report_data(study)
    if scenes and data.best is not None:
        import torch

        torch.set_num_threads(threads)
        with progress("answers", 3 * scenes * len(SNR_DB)) as advance:
            data = with_answers(data, scenes, where, advance)
    write_new(out, report_page(data).encode())
    for remark in data.remarks:
        note(remark)
    answer(
        lambda: data.as_json() | {"page": str(out)},
        lambda: say(f"the report of study {study} is {out}"),
        json=json,
    )
